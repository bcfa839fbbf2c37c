"""Studies: what lifters, refiners and angles reach, in the tables of the documents."""
