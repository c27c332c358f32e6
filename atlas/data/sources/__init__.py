"""Sources of rows: one module per kind of source. A row is a mapping from column to value."""
