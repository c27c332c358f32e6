"""What drives the contract and its books, and a contract that does as it is told."""
