"""Jobs: registry, opening, local tasks of the coordinator."""
