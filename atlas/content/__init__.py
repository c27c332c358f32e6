"""Content by identifier: what a CID is, and the stores that hold what CIDs name."""
