"""Summaries and reports of a job, collected from registry, content and chain."""
