"""A logger of Snakemake where there is no terminal: one line a finished job, and what went wrong."""

from __future__ import annotations

import logging
import re
import sys
import time

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent


class LogHandler(LogHandlerBase):
    """The name by which Snakemake finds it."""

    writes_to_stream = True
    writes_to_file = False
    has_filter = True
    has_formatter = True
    needs_rulegraph = False

    def __post_init__(self) -> None:
        """Count from nothing."""
        self.total = self.finished = 0
        self.jobs: dict[int, tuple[str, float]] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Write what a record says, if it is of use."""
        try:
            line = self._line(record)
            if line:
                print(line, file=sys.stderr, flush=True)
        except Exception:
            self.handleError(record)

    def _line(self, record: logging.LogRecord) -> str | None:
        event = getattr(record, "event", None)
        if event == LogEvent.RUN_INFO:
            self.total = record.stats["total"]
        elif event == LogEvent.JOB_INFO:
            name = " ".join([record.rule_name, *map(str, (record.wildcards or {}).values())])
            self.jobs[record.jobid] = name, time.monotonic()
        elif event == LogEvent.JOB_FINISHED and record.job_id in self.jobs:
            name, started = self.jobs[record.job_id]
            self.finished += 1
            place = f"{self.finished:>{len(str(self.total))}}/{self.total}"
            return f"[{place}] {name}, {time.monotonic() - started:.1f} s"
        elif event == LogEvent.JOB_ERROR:
            name, _ = self.jobs.get(record.jobid, (record.rule_name, 0.0))
            return f"failed: {name}; log: {', '.join(map(str, record.log or []))}"
        elif event is None and (record.levelno >= logging.ERROR or _STANDS_ALONE.match(record.getMessage())):
            return record.getMessage()
        elif event == LogEvent.ERROR:
            return None if record.getMessage().startswith("RuleException") else record.getMessage()
        return None


_STANDS_ALONE = re.compile(r"Nothing to be done|Terminating processes|Will exit after finishing|Shutting down")
