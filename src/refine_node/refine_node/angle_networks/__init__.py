"""Networks that refine joint angles, one file each, registered in `refine_node.angle_network.ANGLE_NETWORKS`. They need torch."""
