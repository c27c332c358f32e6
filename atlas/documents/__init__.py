"""Documents identified by the CID of their canonical JSON."""
