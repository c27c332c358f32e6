"""The content store in a local folder."""
