"""Ops that are launched without a partition: start a job, plan an order, send an alert."""
