"""Search for updates that pass every gate and turn a robust rule's step farthest from the honest mean."""
