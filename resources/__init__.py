"""The coordinator's side below Dagster's assets: the network it works on, its jobs, and the rounds that it drives."""
