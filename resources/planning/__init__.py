"""The plan of an order: what a job would do, take and cost, before anything is written on chain."""
