"""The `atlas-node` daemon, and the signed messages by which it and a coordinator speak."""
