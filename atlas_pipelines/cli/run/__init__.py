"""The command `atlas run` and its output."""
