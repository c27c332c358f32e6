"""Fine-tuning and evaluation with torch, transformers and peft: the same request gives the same bytes."""
