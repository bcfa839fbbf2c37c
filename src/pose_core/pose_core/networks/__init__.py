"""Trained networks at run time: what one is (its card), its file, and what computes it."""
