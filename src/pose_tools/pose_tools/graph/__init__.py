"""The running graph: live, replay, demo, recording."""
