"""Reading files that anybody may have written or damaged: within bounds, and with one sentence for whatever is wrong."""
