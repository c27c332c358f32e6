"""Dagster assets and checks: each file lists the steps and contains no algorithm."""
