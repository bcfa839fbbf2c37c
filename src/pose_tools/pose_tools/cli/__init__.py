"""The `pose` command: options and texts. Each command imports what it runs when it is called."""
