"""Honest and attacked updates."""
