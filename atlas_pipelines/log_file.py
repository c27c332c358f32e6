"""A logger to a file, for runs that use the terminal for other output."""

import logging

import dagster as dg


@dg.logger(config_schema={"path": str}, description="Appends a run's log to a file. Used only when a run asks for it.")
def file_logger(context: dg.InitLoggerContext) -> logging.Logger:
    """A logger that writes to its file alone, one per file however often it is asked for."""
    path = context.logger_config["path"]
    logger = logging.getLogger(f"atlas.run.{path}")
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    if not logger.handlers:
        handler = logging.FileHandler(path, encoding="utf-8")
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        logger.addHandler(handler)
    return logger
