"""Networks that refine joint angles: data, loss, recipes."""
