"""The refinement stage: people in 3D become smooth and bone-consistent, causally, one person at a time."""
