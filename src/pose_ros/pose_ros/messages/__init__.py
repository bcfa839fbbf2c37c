"""What the messages hold, without ROS: their names, how core types become messages and are read from them again.

Message classes come from outside: the generated ones in a node (`pose_ros.conversions`), those of a type store where there is
no ROS (`pose_tools.bag.messages`). Nothing here imports rclpy or generated messages.
"""
