"""Networks that refine lifted people: data, loss, recipes."""
