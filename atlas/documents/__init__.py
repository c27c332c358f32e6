"""Documents that are named by the CID of their canonical JSON."""
