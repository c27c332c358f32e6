"""A search for the updates that turn a robust rule's step farthest from the honest mean, and that pass every gate."""
