"""Opening a task's data: sealed rows, rows that stay on the node."""
