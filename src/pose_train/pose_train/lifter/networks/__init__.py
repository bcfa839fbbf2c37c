"""Networks that lift keypoints, one file each; each registers itself in `pose_train.lifter.network.NETWORKS`. They need torch."""
