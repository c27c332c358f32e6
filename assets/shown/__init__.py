"""What the Dagster pages show: tables, plots, diagnostics."""
