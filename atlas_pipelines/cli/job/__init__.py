"""The commands `atlas job …`."""
