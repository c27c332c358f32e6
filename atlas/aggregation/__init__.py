"""Aggregation: gates that updates must pass, and strategies that turn what passed into a checkpoint."""
