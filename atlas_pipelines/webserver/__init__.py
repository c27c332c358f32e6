"""Dagster's web server, guarded against requests that pages of other sites make in the operator's browser."""
