"""When jobs are ordered again: on events, at the times of their schedules, and weekly."""
