"""State files: written atomically, opened consistently, and with errors that name the file and the remedy."""
