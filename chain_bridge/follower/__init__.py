"""Follows blocks and keeps a read model of the contract's events."""
