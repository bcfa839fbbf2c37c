"""What all learned families share: training, runs, checkpoints, export."""
