"""Run tasks on the fleet from a Dagster asset: background thread, Pipes, progress, process tag."""
