"""The commands `atlas model …`."""
