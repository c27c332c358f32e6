"""Benchmarks of aggregation against other libraries, the peers: `python -m benchmarks.aggregation --help`."""
