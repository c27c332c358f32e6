"""Data: where rows come from, and how they are cut into shards by a rule that anyone can repeat."""
