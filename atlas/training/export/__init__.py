"""Export of a trained model or adapter as a folder."""
