"""Verification of a checkpoint against the coordinator's records and the chain."""
