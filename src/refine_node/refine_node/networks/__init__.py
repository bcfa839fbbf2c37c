"""Networks that refine joints, one file each, registered in `refine_node.network.REFINING_NETWORKS`. They need torch."""
