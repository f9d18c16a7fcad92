"""What a plan asks of each architecture, and how long that takes on a device: shown by `medrobust plan`."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from ..errors import MedrobustError, did_you_mean
from .printing import console
from .store import say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..engine.session import Session
    from ..engine.steps import Step
    from ..engine.throughput import Architecture, Demand, Throughputs

SHOWN = 12
"""Architectures that the table names."""


@dataclass(frozen=True)
class Workload:
    """The passes of a plan and their time on a device.

    Attributes:
        demands: what is asked of each architecture.
        unknown: steps whose number of images is not known before images are decoded.
        device: where the time is meant, in words.
        seconds: on one process; None if an architecture was not measured there.
        missing: architectures that were not measured there.
        throughputs: the measurements.
    """

    demands: list[Demand]
    unknown: int
    device: str
    seconds: float | None
    missing: list[Architecture]
    throughputs: Throughputs

    @classmethod
    def of(cls, steps: Sequence[Step], session: Session, on: str = "", file: Path | None = None) -> Workload:
        """The workload of steps on this machine's device, or on one measured elsewhere.

        Raises:
            MedrobustError: if nothing was measured on the device that `on` names.
        """
        from ..engine.context import hardware
        from ..engine.throughput import FILE, Throughputs, demands_of, seconds_of

        if file is not None and not file.is_file():
            raise MedrobustError(
                f"--throughput: {file} is no file; 'medrobust calibrate GRID' says where it keeps its own"
            )
        throughputs = Throughputs(file or session.context.cache / FILE)
        device = _named(on, throughputs) if on else hardware(session.device)
        demands, unknown = demands_of(steps, session.context.source)
        seconds, missing = seconds_of(demands, throughputs, device)
        return cls(demands, unknown, device, None if missing else seconds, missing, throughputs)

    def facts(self) -> dict[str, Any]:
        """For programs."""
        rows = [
            {
                "architecture": a.describe(),
                "forward": round(p.forward),
                "gradient": round(p.gradient),
                "training": round(p.training),
            }
            for a, p in self.demands
        ]
        return {
            "passes": rows,
            "steps_of_unknown_size": self.unknown,
            "device": self.device,
            "calibrated_seconds": self.seconds,
        }


def _named(on: str, throughputs: Throughputs) -> str:
    """The one device whose name contains a text."""
    devices = throughputs.devices()
    found = [device for device in devices if on.lower() in device.lower()]
    if len(found) == 1:
        return found[0]
    if found:
        raise MedrobustError(f"--on: '{on}' is in the names of several devices: {', '.join(found)}")
    raise MedrobustError(f"--on: nothing was measured on a device called '{on}'{did_you_mean(on, devices)}")


def print_workload(workload: Workload, hint: Sequence[str]) -> None:
    """Passes and hours by architecture; without measurements passes only, and the command that measures.

    Args:
        workload: what is shown.
        hint: the words of a `medrobust calibrate` command for this plan.
    """
    from ..engine.running.progress import human_time

    if not workload.demands:
        return
    table = Table("images through", "forward", "with gradient", "training", "time", title="About how much work")
    for architecture, passes in workload.demands[:SHOWN]:
        measured = workload.throughputs.find(architecture, workload.device)
        time = human_time(measured.seconds(passes)) if measured else ""
        numbers = map(in_words, (passes.forward, passes.gradient, passes.training))
        table.add_row(Text(architecture.describe()), *numbers, time)
    console.print(table)
    if len(workload.demands) > SHOWN:
        say(f"and {len(workload.demands) - SHOWN} more architectures (--json lists all)")
    if workload.unknown:
        say(f"Not counted: {workload.unknown} steps on images whose number is not known before they are decoded.")
    if workload.seconds is not None:
        say(f"On {workload.device}, one process: about {human_time(workload.seconds)}, by measured throughput.")
        return
    count = len(workload.missing)
    what = "1 architecture was" if count == 1 else f"{count} architectures were"
    say(f"Hours are not known: {what} not measured on {workload.device}.")
    say(f"To measure, a few seconds each: {shlex.join(['medrobust', *hint])}")


def in_words(count: float) -> str:
    """1234567 as `1.2 million`."""
    for size, word in ((1e9, " billion"), (1e6, " million"), (1e3, " thousand")):
        if count >= size:
            return f"{count / size:.3g}{word}"
    return f"{count:.0f}" if count else ""
