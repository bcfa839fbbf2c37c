"""Lifting by trained networks: what they see, what they are, and what runs them."""
