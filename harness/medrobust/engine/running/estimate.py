"""What steps will take: by what they ask of models and how fast those are, and by the records of past runs."""

from __future__ import annotations

from collections.abc import Sequence

from ...errors import MedrobustError
from ...results.store import Store
from ..context import RunContext, hardware
from ..sizes import Size, Sizes
from ..steps import History, Step
from ..steps.work import Work
from ..throughput import FILE, Architecture, Throughput, Throughputs

NOMINAL = Throughput(forward=600.0, gradient=240.0, training=180.0)
"""Images per second of an architecture that was not measured: a small network on one core. Its ratios count."""
USUAL = Size(1000, (500, 2))
"""A split whose size is not known before its images are decoded."""
OVERHEAD = 1.0
"""Seconds of a step beside its passes: images and weights are loaded, a record is written."""


class Costs:
    """About how long steps take on one process.

    By the throughput of architectures that were calibrated on the device, as `medrobust plan` has it; one that was not
    counts as a small network, so that only the ratios of such steps mean anything.

    Args:
        context: where data, measurements and the device are.
    """

    def __init__(self, context: RunContext) -> None:
        self._sizes = Sizes(context.source, otherwise=USUAL)
        self._device = hardware(context.device)
        self._throughputs = Throughputs(context.cache / FILE)
        self._measured: dict[str, Throughput] = {}

    def of(self, steps: Sequence[Step]) -> dict[str, float]:
        """Seconds of each step, by its identity."""
        return {step.id: self._seconds(step.work(self._sizes) or ()) for step in steps}

    def _seconds(self, work: Sequence[Work]) -> float:
        return OVERHEAD + sum(self._throughput(each).seconds(each.passes) for each in work)

    def _throughput(self, work: Work) -> Throughput:
        architecture = Architecture.of(work.target)
        if architecture.key not in self._measured:
            try:
                found = self._throughputs.find(architecture, self._device)
            except MedrobustError:  # a damaged file; `medrobust plan` says so
                found = None
            self._measured[architecture.key] = found or NOMINAL
        return self._measured[architecture.key]


def estimate(steps: Sequence[Step], store: Store, costs: Costs) -> float | None:
    """Seconds on one process by what a store has recorded, or None if nothing like it has been.

    A step takes the median of what equal steps took (same data set, model and attack). Any other takes what it is
    expected to, times the factor by which the recorded ones took longer than expected.
    """
    if not steps or not store.exists:
        return None
    history, expected = recorded(store), costs.of(steps)
    known = {step.id: seconds for step in steps if (seconds := step.seconds(history)) is not None}
    if not known:
        return None
    factor = sum(known.values()) / sum(expected[step] for step in known)
    return sum(known.get(step.id, factor * expected[step.id]) for step in steps)


def recorded(store: Store) -> History:
    """The median seconds, and the most memory, of what a store holds."""
    cells = store.cells(["dataset", "model", "attack", "seconds", "peak_memory"])
    alike = cells[cells["status"] == "ok"].groupby(["dataset", "model", "attack"])
    attacks, memory = alike["seconds"].median(), alike["peak_memory"].max().dropna().astype(int)
    trainings = store.rows("fits").groupby(["dataset", "model"])["seconds"].median()
    return History(dict(trainings.items()), dict(attacks.items()), dict(memory.items()))  # type: ignore[arg-type]
