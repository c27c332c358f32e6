"""Contents of the Dagster pages: tables, plots, diagnostics."""
