"""Figures for people who read: skeletons and joint angles over time."""
