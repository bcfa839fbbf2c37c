"""Motion over time: filters, smoothing, joints that are missing or exchanged, and how errors go together."""
