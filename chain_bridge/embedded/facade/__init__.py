"""gRPC services of a Cosmos node, as far as a client of contracts needs them; one file per module of the SDK."""
