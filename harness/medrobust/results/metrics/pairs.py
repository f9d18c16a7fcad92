"""The comparison that suits a metric."""

from __future__ import annotations

import numpy as np

from ...errors import MedrobustError
from ..outcomes import select
from ..record import Record
from ..statistics.comparison import Comparison, align, delong, paired_bootstrap, paired_rates
from .ranking import average_area
from .registry import Metric


def compare_metric(
    metric: Metric, first: Record, second: Record, *, resamples: int = 1000, seed: int = 0
) -> Comparison:
    """First minus second of a scalar metric over the images that both records have.

    McNemar for rates over all images and for rates over the same part of them, DeLong for AUCs of the same images, the
    paired bootstrap for everything else.
    """
    if metric.axis:
        raise MedrobustError(f"'{metric.name}' has an axis ({', '.join(metric.axis)}): compare a scalar metric")
    first, second = align(first, second)
    for record in (first, second):
        if (value := metric(record)).scalar is None:
            return Comparison(None, n=len(first), groups=value.groups, reason=value.reason)
    if metric.hits is not None:
        return paired_rates(metric.hits(first), metric.hits(second), first.groups)
    if metric.part is not None:
        (counted, hits), (others, other_hits) = metric.part(first), metric.part(second)
        if np.array_equal(counted, others):
            return paired_rates(hits[counted], other_hits[counted], select(first, counted))
    if metric.name in ("auc", "mean_auc"):
        return delong(average_area(first), average_area(second), first.groups)
    return paired_bootstrap(metric, first, second, resamples=resamples, seed=seed)
