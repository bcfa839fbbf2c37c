"""How near lifters come to the truth, and what they cost."""
