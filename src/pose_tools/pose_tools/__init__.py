"""The `pose` command: the pipeline in one process, bags, replay, doctor, measurements."""
