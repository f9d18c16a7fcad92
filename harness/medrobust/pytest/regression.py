"""Whether a metric is worse than it was, on the same images: a real drop, and not noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from scipy import special

from ..results.metrics import Metric
from ..results.metrics.pairs import compare_metric
from ..results.record import Record
from ..results.statistics.comparison import Comparison, holm
from ..results.statistics.rates import Z

ALPHA: Final = 0.01
"""Probability that any of the items collected fails although none of them is worse."""
MINIMUM: Final = 0.01
"""The smallest drop that counts, in the metric's unit: a point of an accuracy."""
_BETTER: Final = {
    "clean_accuracy": True,
    "detection_auc": True,
    "detection_auc_at_success": True,
    "false_alarms": False,
}
"""Of metrics that do not speak of robustness: whether more is better."""


@dataclass(frozen=True)
class Change:
    """A metric beside what it was.

    Attributes:
        drop: how much worse it is, in its unit; negative where it is better.
        low, high: 95 % interval of the drop, None where there is none.
        p: one-sided: how probable such a drop is where there is none. None where no test is possible.
        n: images compared.
        test: the name of the test.
        reason: why there is no p.
    """

    drop: float
    low: float | None = None
    high: float | None = None
    p: float | None = None
    n: int = 0
    test: str = ""
    reason: str = ""


def higher_is_better(metric: Metric) -> bool | None:
    """Whether more of a metric is better; None if neither more nor less is."""
    return _BETTER.get(metric.name, metric.higher_is_robust)


def change(metric: Metric, now: Record, before: Record) -> Change:
    """How much worse a metric is than it was, on the images that both records have.

    McNemar's exact test for rates, with patients counted as such where they have several images; DeLong for AUCs; for
    everything else the standard error of the paired bootstrap and the normal distribution, since resamples alone give
    no p value small enough for a family of many items. All of them one-sided: only a drop is asked for.

    Raises:
        MedrobustError: if the records share no image, or label the same images otherwise.
    """
    found = compare_metric(metric, before, now)
    if found.difference is None:
        return Change(0.0, n=found.n, test=found.test, reason=found.reason or "it is undefined")
    sign = 1 if higher_is_better(metric) else -1
    drop = sign * found.difference
    ends = None if found.low is None or found.high is None else sorted((sign * found.low, sign * found.high))
    low, high = ends or (None, None)
    p = _one_sided(found, drop)
    reason = "" if p is not None else found.reason or "no test is possible"
    return Change(drop, low, high, p, found.n, found.test, reason)


def _one_sided(found: Comparison, drop: float) -> float | None:
    if drop == 0:
        # Nothing changed, or as much for the better as for the worse; some tests have no p value there.
        return 1.0
    if found.test == "paired bootstrap":
        if found.low is None or found.high is None or found.high == found.low:
            return None
        return float(special.ndtr(-drop * 2 * Z / (found.high - found.low)))
    if found.p is None:
        return None
    return found.p / 2 if drop > 0 else 1 - found.p / 2


def alarms(changes: Sequence[Change], minimum: Sequence[float]) -> list[bool]:
    """Which of a family of items are worse: Holm over their p values, and at least their smallest drop that counts."""
    adjusted = holm([each.p for each in changes])
    return [
        p is not None and p <= ALPHA and each.drop >= least
        for each, p, least in zip(changes, adjusted, minimum, strict=True)
    ]
