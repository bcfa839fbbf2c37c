"""Human pose without ROS and without torch: skeletons, cameras, metrics, filters, sequences."""
