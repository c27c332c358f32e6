"""A round as data: from its manifest to its checkpoint and its diagnostics."""
