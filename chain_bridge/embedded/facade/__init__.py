"""The gRPC services of a Cosmos node that a client of contracts needs; one file per module of the SDK."""
