"""What a process asks of the operating system, and where Linux, macOS and Windows differ: locks, signals, threads."""
