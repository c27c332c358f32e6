"""Job, data set and task specifications."""
