"""The node's view of the chain: assignments, earnings, heartbeats."""
