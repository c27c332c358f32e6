"""Content-addressed storage: CIDs, and the stores that hold content by CID."""
