"""How a command is stopped."""

import signal


def stop_on_signals() -> None:
    """SIGTERM ends the command as Ctrl-C does, also where a shell has started it with SIGINT ignored.

    Dagster hands SIGTERM to whatever SIGINT does, so one that is ignored would make the other useless.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
