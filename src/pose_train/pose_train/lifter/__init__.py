"""Networks that lift keypoints to 3D: data, loss, recipes."""
