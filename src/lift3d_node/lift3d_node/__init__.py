"""People in 2D become people in 3D: a lifter gives each person's shape, placement puts it before the camera."""
