"""What the commands `atlas` and `atlas-node` share: how they load, and how they print."""
