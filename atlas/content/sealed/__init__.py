"""Encryption of content, and of its keys for single nodes."""
