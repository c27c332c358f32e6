"""Dagster assets and checks: each file reads like a recipe and holds no algorithm."""
