"""Encryption of content, and wrapping of its keys for single nodes."""
