"""The Dagster code location and the `atlas` command."""
