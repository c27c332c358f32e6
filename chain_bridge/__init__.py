"""The way to the chain: keys, the ledger client over cosmpy, and the embedded chain that answers it by default."""
