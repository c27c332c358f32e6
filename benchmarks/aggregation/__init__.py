"""Aggregation beside its peers: `python -m benchmarks.aggregation --help`."""
