"""Bags without ROS: writing, reading, recovering, and the people in them."""
