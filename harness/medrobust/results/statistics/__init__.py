"""Intervals, comparisons and combinations over per-image records, as pure functions.

`value` is what every number is given as; `rates` and `auc` have the intervals in closed form; `comparison` asks whether
two cells differ; `combine` makes one number of several; `ranks` says how sure a ranking is; `worst_case` is the
strongest attack image by image.
"""

from .combine import mean_of, over_seeds, pooled
from .comparison import (
    Comparison,
    align,
    bootstrap,
    delong,
    holm,
    mcnemar,
    paired_bootstrap,
    paired_rates,
    percentiles,
    resampled,
)
from .ranks import rank_intervals, ranks
from .rates import CONFIDENCE, mean, rate, wilson
from .value import Value, stack, undefined
from .worst_case import margin, stays_robust, worst_case

__all__ = [
    "CONFIDENCE",
    "Comparison",
    "Value",
    "align",
    "bootstrap",
    "delong",
    "holm",
    "margin",
    "mcnemar",
    "mean",
    "mean_of",
    "over_seeds",
    "paired_bootstrap",
    "paired_rates",
    "percentiles",
    "pooled",
    "rank_intervals",
    "ranks",
    "rate",
    "resampled",
    "stack",
    "stays_robust",
    "undefined",
    "wilson",
    "worst_case",
]
