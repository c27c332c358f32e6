"""A message server and a small network of real agents."""
