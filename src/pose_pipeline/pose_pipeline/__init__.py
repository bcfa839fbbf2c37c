"""The human pose pipeline as one Python package. No ROS and no torch is needed."""

__version__ = "0.1.0"
