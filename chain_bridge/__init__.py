"""Access to the chain: keys, the ledger client over cosmpy, and the embedded chain that it uses by default."""
