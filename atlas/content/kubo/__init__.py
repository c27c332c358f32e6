"""Client of a Kubo node's RPC."""
