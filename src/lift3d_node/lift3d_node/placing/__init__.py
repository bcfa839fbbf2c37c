"""From a shape without a place to a person before the camera, with what is known of the errors."""
