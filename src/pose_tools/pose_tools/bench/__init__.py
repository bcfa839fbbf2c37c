"""Measurements of speed, side by side."""
