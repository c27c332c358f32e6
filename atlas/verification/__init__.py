"""Verification: signed receipts, Merkle evidence, and checkpoints that anyone can recompute."""
