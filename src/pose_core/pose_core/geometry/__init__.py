"""Cameras, rotations, alignment, and bodies as trees of bones."""
