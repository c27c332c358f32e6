"""Trained models: facts, export, upload."""
