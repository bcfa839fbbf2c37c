"""Commands that turn results into other files and pictures."""
