"""The outbox: transactions that are sent exactly once, also after a crash."""
