"""Retention of content: uses, survey, removal."""
