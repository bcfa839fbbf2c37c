"""Set-up of the workspace: the steps, what they need, and the code that makes the virtual environment know ROS 2."""
