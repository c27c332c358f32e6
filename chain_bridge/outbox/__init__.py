"""The outbox: transactions are sent exactly once, even after a crash."""
