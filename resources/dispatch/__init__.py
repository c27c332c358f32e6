"""Dispatch of a round's tasks to nodes."""
