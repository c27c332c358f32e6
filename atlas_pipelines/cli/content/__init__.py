"""The commands `atlas content …`."""
