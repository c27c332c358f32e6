"""Tiny models, their words, and a small model hub."""
