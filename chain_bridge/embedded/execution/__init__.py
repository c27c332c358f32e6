"""Execution of transactions, messages and queries."""
