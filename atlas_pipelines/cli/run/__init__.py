"""The command `atlas run` and what it prints."""
