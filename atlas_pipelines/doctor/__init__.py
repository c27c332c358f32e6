"""The checks of `atlas doctor`. None of them changes a file or starts a process."""
