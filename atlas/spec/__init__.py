"""Job, dataset and task specifications."""
