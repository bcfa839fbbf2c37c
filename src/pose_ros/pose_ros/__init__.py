"""The one place that maps pose_core to ROS 2: conversions, images, parameters, diagnostics, stage base."""
