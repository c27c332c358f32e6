"""What Dagster has recorded of runs and materializations, and what is recorded with them."""
