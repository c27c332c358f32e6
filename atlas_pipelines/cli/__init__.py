"""The `atlas` command: one file per group of commands."""
