"""The commands `atlas chain …`."""
