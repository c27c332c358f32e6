"""Several stores as one: local copy, Kubo nodes, gateways."""
