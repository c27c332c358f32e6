"""What training of an order would work on: model, rows and memory, before any node is paid."""
