"""The local network: chain, bus, nodes and their supervisor."""
