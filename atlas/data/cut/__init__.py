"""From rows to shards: split, spool, layout."""
