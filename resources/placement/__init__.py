"""Which nodes can take the tasks of a job."""
