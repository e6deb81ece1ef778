"""Logs: events by id, on standard error, never a personal value."""

import logging
import sys


def configure_logs() -> None:
    """Let structlog write JSON lines to standard error, from warnings up.

    What a person asked for is printed; a log is for what happened without being asked.
    WINBACK_LOG_LEVEL=info tells of what went well too. What belongs to a run of the
    schedule bears its number and its job.
    """
    import structlog

    from campaigns.config import log_level_from_environment

    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            log_level_from_environment(default=logging.WARNING)
        ),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
