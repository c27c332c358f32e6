"""A Dagster project that fine-tunes a model on its own data with Atlas Pipelines."""
