"""What a run shows while it goes: on a terminal bars, elsewhere one line a finished job; and what went wrong.

Snakemake takes loggers as plug-ins, which are modules with a class ``LogHandler``; these two are handed to it as such.
"""

from __future__ import annotations

import re
import sys
import time
from logging import LogRecord
from pathlib import Path
from types import SimpleNamespace

from rich.progress import TextColumn, TimeRemainingColumn
from rich.text import Text
from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent
from snakemake_interface_logger_plugins.registry import LoggerPluginRegistry
from snakemake_logger_plugin_rich import LogHandler as RichBars

from infwidth.io.failures import killed, last_words

_WORTH_SAYING = re.compile(r"Nothing to be done|Terminating processes|Will exit after finishing")
_ENDED = re.compile(r"returned non-zero exit status (\d+)|died with <Signals\.\w+: (\d+)>")
_SAID_ELSEWHERE = re.compile(r"(Missing)?RuleException|WorkflowError:\s*At least one job did not complete")


class _Lines:
    """Records as lines."""

    def __init__(self) -> None:
        self.total = self.finished = 0
        self.ends: list[str] = []
        self.jobs: dict[int, tuple[str, float]] = {}

    def finished_line(self, record: LogRecord) -> str | None:
        """Follow the run; return a line for a job that ended well, if it is that."""
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
        return None

    def trouble_line(self, record: LogRecord) -> str | None:
        """Return what went wrong, or what Snakemake says besides, if it is of use."""
        event, text = getattr(record, "event", None), record.getMessage()
        if event == LogEvent.JOB_ERROR:
            name, _ = self.jobs.get(record.jobid, (record.rule_name, 0.0))
            return _ending(name, list(map(str, record.log or [])), self.ends)
        if event is None and _WORTH_SAYING.match(text):
            return text
        if _ENDED.search(text):
            self.ends.append(text)
        troubled = record.levelname in ("ERROR", "CRITICAL") and event in (None, LogEvent.ERROR)
        return last_words(text) if troubled and not _SAID_ELSEWHERE.match(text) else None


def _ending(name: str, logs: list[str], ends: list[str]) -> str:
    """How a job ended that did not end well: its log says so, or the status of its command, unless it was stopped."""
    for path in map(Path, logs):
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []
        if lines and "error: " in lines[-1]:
            return f"failed: {name}; log: {path}"
    status = next((_ENDED.search(text) for text in reversed(ends) if any(path in text for path in logs)), None)
    why = killed(int(status[1] or -int(status[2]))) if status else None
    return f"failed: {name}: {why}" if why else f"stopped: {name}"


class LineHandler(LogHandlerBase):
    """One line a finished job."""

    writes_to_stream = True
    writes_to_file = False
    has_filter = True
    has_formatter = True
    needs_rulegraph = False

    def __post_init__(self) -> None:
        """Begin with no job."""
        self.lines = _Lines()

    def emit(self, record: LogRecord) -> None:
        """Write what a record says, if it is of use."""
        line = self.lines.finished_line(record) or self.lines.trouble_line(record)
        if line:
            print(line, file=sys.stderr, flush=True)


class BarHandler(RichBars):
    """Bars of snakemake-logger-plugin-rich, a total and one a rule, with the time left; without Snakemake's news."""

    def __post_init__(self) -> None:
        """Begin with no job."""
        super().__post_init__()
        self.progress.columns = (*self.progress.columns, TimeRemainingColumn(), TextColumn("left"))
        self.lines = _Lines()

    def emit(self, record: LogRecord) -> None:
        """Move the bars, or write what a record says above them."""
        self.lines.finished_line(record)
        line = self.lines.trouble_line(record)
        if line:
            self.console.print(Text(line), soft_wrap=True)
        elif getattr(record, "event", None) in (LogEvent.RUN_INFO, LogEvent.JOB_INFO, LogEvent.JOB_FINISHED):
            super().emit(record)


def register() -> None:
    """Make the loggers known to Snakemake in this process, as ``bars`` and ``lines``."""
    for name, handler in (("bars", BarHandler), ("lines", LineHandler)):
        LoggerPluginRegistry().register_plugin(name, SimpleNamespace(LogHandler=handler))
