"""What networks learn from: motion capture, bodies, cameras, detectors and public data sets."""
