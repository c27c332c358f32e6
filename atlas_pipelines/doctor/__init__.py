"""What `atlas doctor` looks at. Nothing here changes a file or starts a process."""
