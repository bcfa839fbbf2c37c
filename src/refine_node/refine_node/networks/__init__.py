"""Networks that refine joints, one file each; each registers itself in `refine_node.network.REFINING_NETWORKS`. They need torch."""
