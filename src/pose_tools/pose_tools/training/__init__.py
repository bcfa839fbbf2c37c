"""`pose train` and `pose evaluate`."""
