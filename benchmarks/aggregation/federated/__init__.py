"""Federated runs of the real sentiment task in one process, with the project's training and aggregation."""
