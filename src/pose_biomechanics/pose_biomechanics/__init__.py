"""Biomechanics without ROS and without torch: segment frames, ISB joint angles, marker sets and their augmentation."""
