"""A Dagster webserver and daemon."""
