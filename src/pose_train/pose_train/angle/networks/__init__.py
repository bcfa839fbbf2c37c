"""Networks that refine joint angles, one file each, registered in `pose_train.angle.network.ANGLE_NETWORKS`. They need torch."""
