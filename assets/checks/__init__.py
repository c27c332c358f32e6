"""Asset checks of datasets and content."""
