"""Pages that a browser opens without a server: the 3D viewer and the report of a run."""
