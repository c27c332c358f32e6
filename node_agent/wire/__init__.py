"""Messages between coordinator and nodes, and the bus that carries them."""
