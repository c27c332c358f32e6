"""Adapter files: reading, shapes, LoRA factors, changes from a base."""
