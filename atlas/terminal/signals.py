"""Signal handling of commands."""

import signal


def stop_on_signals() -> None:
    """Make SIGTERM end the command like Ctrl-C, even if a shell started it with SIGINT ignored.

    Dagster handles SIGTERM with the handler of SIGINT, so an ignored SIGINT would disable SIGTERM, too.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
