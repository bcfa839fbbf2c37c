"""What is wrong with an installation or a running graph, and what to do about it."""
