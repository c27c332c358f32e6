"""Linear algebra on adapters that are read in pieces from disk."""
