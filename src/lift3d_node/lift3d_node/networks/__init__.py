"""Networks that lift keypoints, one file each; each registers itself in `lift3d_node.network.NETWORKS`. They need torch."""
