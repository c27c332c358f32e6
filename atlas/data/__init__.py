"""Data: read rows from sources, and cut them into shards by a reproducible rule."""
