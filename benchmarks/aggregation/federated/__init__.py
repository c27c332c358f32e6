"""Federated runs of the real sentiment task in one process, on the project's own training and aggregation."""
