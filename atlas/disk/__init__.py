"""Files that hold state: written whole, opened in one way, and with errors that name the file and what to do."""
