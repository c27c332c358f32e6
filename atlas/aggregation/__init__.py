"""Aggregation: gates that updates must pass, and strategies that turn the accepted updates into a checkpoint."""
