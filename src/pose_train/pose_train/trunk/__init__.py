"""What all learned families share: what a family is, training, runs, checkpoints, export."""
