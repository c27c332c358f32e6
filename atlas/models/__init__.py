"""Base models: catalogue, files, licence."""
