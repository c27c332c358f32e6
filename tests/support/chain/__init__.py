"""What drives the contract and its books, and a contract that answers as the test sets it."""
