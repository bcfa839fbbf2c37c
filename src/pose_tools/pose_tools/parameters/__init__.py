"""All parameters as one table, and what is generated from it: options, launch arguments, the reference page. No ROS here."""
