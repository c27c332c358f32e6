"""Client of the contract: connection, messages, queries, transactions."""
