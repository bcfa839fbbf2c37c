#!/bin/bash
# Sources ROS 2 and the workspace, then becomes the command.
set -e
# The variables come from ROS's own scripts, which do not survive `set -u`.
source "/opt/ros/${ROS_DISTRO}/setup.bash"
source /workspace/install/setup.bash
exec "$@"
