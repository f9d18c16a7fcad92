"""Live progress: cells done, what is running, time left."""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.text import Text

from ..steps import Step, StepReport
from .estimate import Costs
from .executors import Event


class Watcher(Protocol):
    """Receives the progress of a run."""

    def begin(self, steps: list[Step], costs: Costs) -> None: ...
    def event(self, event: Event) -> None: ...
    def finished(self, step: Step, report: StepReport) -> None: ...
    def end(self) -> None: ...


class Silent:
    """Shows nothing."""

    def begin(self, steps: list[Step], costs: Costs) -> None: ...
    def event(self, event: Event) -> None: ...
    def finished(self, step: Step, report: StepReport) -> None: ...
    def end(self) -> None: ...


class TimeLeft:
    """Time left, from the share of the expected time that is done, in the time gone by.

    Args:
        total: seconds that all steps were expected to take together.
    """

    def __init__(self, total: float) -> None:
        self.total = total
        self.begun = time.monotonic()
        self.done = 0.0

    def left(self, underway: float) -> float | None:
        """Seconds left, or None while it is too early to say."""
        done = self.done + underway
        elapsed = time.monotonic() - self.begun
        if done <= 0 or elapsed < 2:
            return None
        return elapsed * max(self.total - done, 0.0) / done


class Terminal:
    """A progress bar of cells with the running steps below it; plain lines if there is no terminal."""

    LINES_EVERY = 10.0

    def __init__(self, console: Console) -> None:
        self.console = console
        self._lock = threading.Lock()
        self._names: dict[str, str] = {}
        self._costs: dict[str, float] = {}
        self._running: dict[str, Event] = {}
        self._live: Live | None = None
        self._last_line = 0.0
        self._waits = False
        self._failed = 0

    def begin(self, steps: list[Step], costs: Costs) -> None:
        self._names = {s.id: s.describe() for s in steps}
        self._costs = costs.of(steps)
        self._time = TimeLeft(sum(self._costs.values()))
        self._bar = Progress(
            TextColumn("cells"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TextColumn("{task.fields[left]}"),
            console=self.console,
        )
        self._task = self._bar.add_task("", total=sum(len(s.cells) for s in steps), left="")
        if self.console.is_terminal:
            self._live = Live(get_renderable=self._render, console=self.console, refresh_per_second=4, transient=True)
            self._live.start()

    def event(self, event: Event) -> None:
        with self._lock:
            self._running[event.step] = event
        self._line()

    def finished(self, step: Step, report: StepReport) -> None:
        with self._lock:
            self._running.pop(step.id, None)
            self._time.done += self._costs[step.id]
            self._bar.advance(self._task, len(step.cells))
            # The reasons are printed when the run ends, each of them once.
            self._failed += sum(status != "ok" for _, status, _ in report.cells) or bool(report.error)
        self._line()

    def end(self) -> None:
        if self._live is not None:
            self._live.stop()

    def _left(self) -> str:
        underway = sum(self._costs.get(i, 0.0) * e.done / max(e.total, 1) for i, e in self._running.items())
        left = self._time.left(underway)
        failed = f"{self._failed} failed" if self._failed else ""
        return ", ".join(filter(None, ("" if left is None else f"about {human_time(left)} left", failed)))

    def _render(self) -> Group:
        with self._lock:
            running = list(self._running.items())
            self._bar.update(self._task, left=self._left())
        lines = [
            Text(
                f"  {self._names.get(i, i)}  {e.text or (f'{e.done}/{e.total} images' if e.done else '')}", style="dim"
            )
            for i, e in running
        ]
        for line in lines:
            line.truncate(self.console.width, overflow="ellipsis")
        return Group(self._bar, *lines)

    def _line(self) -> None:
        """Where nothing can be redrawn, a line every few seconds, and when there is only waiting left to do."""
        now = time.monotonic()
        with self._lock:
            waiting = bool(self._running) and all(event.elsewhere for event in self._running.values())
        if self._live is not None or (now - self._last_line < self.LINES_EVERY and waiting <= self._waits):
            return
        self._last_line, self._waits = now, waiting
        with self._lock:
            task = self._bar.tasks[0]
            names = "; ".join(" ".join((self._names.get(i, i), e.text)).strip() for i, e in self._running.items())
            left = self._left()
        doing = f"{left or 'starting'}: {'waiting for ' if waiting else ''}{names}"
        self.console.print(Text(f"cells {task.completed:.0f}/{task.total:.0f}, {doing}"), soft_wrap=True)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()


def human_time(seconds: float) -> str:
    """`42 s`, `3 min`, `1 h 20 min`, `2 days 3 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min"
    return f"{hours // 24} days {hours % 24} h"
