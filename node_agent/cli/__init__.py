"""The commands of `atlas-node`."""
