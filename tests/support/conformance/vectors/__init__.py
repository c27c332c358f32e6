"""Every message and query of the contract."""
