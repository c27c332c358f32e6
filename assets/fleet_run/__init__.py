"""Runs of the fleet's work from a Dagster asset: background thread, Pipes, progress, process tag."""
