"""Execution of tasks: the workbench, trainer processes, progress."""
