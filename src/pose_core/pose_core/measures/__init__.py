"""Measures: errors against a truth, and what can be said of a recording without one."""
