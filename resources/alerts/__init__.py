"""Alerts: what is sent when a run or a check has failed, and the hooks that alerts are sent through."""
