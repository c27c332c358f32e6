"""Discovery of nodes and their manifests."""
