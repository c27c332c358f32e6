"""Deterministic fine-tuning and evaluation with torch, transformers and peft."""
