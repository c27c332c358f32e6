"""Where rows come from: one file per kind of source. A row is a mapping from column to value."""
