"""The `atlas-node` daemon, and the signed messages that it exchanges with a coordinator."""
