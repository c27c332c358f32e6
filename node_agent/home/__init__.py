"""The node's files: settings, lock, journal, residuals."""
