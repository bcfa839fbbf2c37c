"""Networks that refine joints, one file each, registered in `pose_train.refiner.network.REFINING_NETWORKS`. They need torch."""
