"""Compute a round's checkpoint and diagnostics from its manifest."""
