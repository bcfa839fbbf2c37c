"""What the launch files share: their arguments, how processes are kept alive, and how a launch ends."""
