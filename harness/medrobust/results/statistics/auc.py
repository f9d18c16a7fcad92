"""The area under the ROC curve with DeLong's variance, for grouped images and for means over labels.

Each image has an influence on the AUC; the variance is the sum over groups of the squared summed influence. Without
groups that is DeLong's variance exactly (DeLong, DeLong and Clarke-Pearson 1988, Biometrics 44:837), from sorted
scores in O(n log n) (as Sun and Xu 2014, IEEE Signal Process Lett 21:1389, from midranks); with groups it is
Obuchowski's (1997, Biometrics 53:567) up to the finite-sample factor of the cross term. It adds up over labels and
subtracts between models, so that means, differences and ratios need no bootstrap.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from .rates import Groups, Z, clusters, group_count, t_quantile
from .value import Floats, Value, undefined


@dataclass(frozen=True)
class Area:
    """An AUC and what each image adds to it."""

    auc: float
    influence: Floats
    """Scaled so that the sum of squares is the variance (n,)."""
    positives: int
    """Positive images, or the groups they come from."""
    negatives: int
    """Negative images, or the groups they come from."""

    @property
    def degenerate(self) -> bool:
        """Whether the variance cannot be estimated: perfect separation, or one side a single observation."""
        return min(self.positives, self.negatives) < 2 or not self.influence.any()


def area(scores: NDArray[np.floating], positive: NDArray[np.bool_], groups: Groups | None = None) -> Area | str:
    """AUC of `scores` (n,) for `positive` (n,), ties counting half; or the reason why it is undefined."""
    m, n = int(np.count_nonzero(positive)), int(np.count_nonzero(~positive))
    if m == 0 or n == 0:
        side = "negative" if m == 0 else "positive"
        return f"only {side} images, and an AUC needs both" if m + n else "no images"
    above = _share_below(scores[positive], scores[~positive])
    below = 1 - _share_below(scores[~positive], scores[positive])
    auc = float(above.mean())
    if groups is None:
        positives, negatives = m, n
    else:
        positives, negatives = clusters(groups[positive])[1], clusters(groups[~positive])[1]
    influence = np.empty(len(scores))
    influence[positive] = (above - auc) / m * _finite_sample(positives)
    influence[~positive] = (below - auc) / n * _finite_sample(negatives)
    # Rounding would leave specks where separation is perfect.
    influence[np.abs(influence) < 1e-15] = 0.0
    return Area(auc, influence, positives, negatives)


def _share_below(scores: NDArray[np.floating], others: NDArray[np.floating]) -> Floats:
    """Share of `others` that each score exceeds, ties counting half."""
    ordered = np.sort(others)
    # Sorted queries walk through memory once, several times as fast as in any other order.
    order = np.argsort(scores)
    share = np.empty(len(scores))
    queries = scores[order]
    share[order] = np.searchsorted(ordered, queries, "left") + np.searchsorted(ordered, queries, "right")
    return share / (2 * len(others))


def _finite_sample(count: int) -> float:
    return float(np.sqrt(count / (count - 1))) if count > 1 else 1.0


def half_width(influence: Floats, groups: Groups | None = None) -> float | None:
    """Half of the 95 % interval of an estimate with this influence; None where all images belong to one group."""
    if groups is None:
        return Z * float(np.sqrt(influence @ influence))
    codes, count = clusters(groups)
    if count == 1:
        return None
    sums = np.bincount(codes, weights=influence, minlength=count)
    quantile = Z if count == len(influence) else t_quantile(count - 1)
    return quantile * float(np.sqrt(sums @ sums))


def newcombe(auc: float, positives: int, negatives: int) -> tuple[float, float]:
    """Score interval of an AUC whose variance cannot be estimated, as at 0 and 1.

    Newcombe (2006, Stat Med 25:559), method 5.
    """
    star = (positives + negatives) / 2 - 1

    def distance(theta: float) -> float:
        inner = 1 + star * (1 - theta) / (2 - theta) + star * theta / (1 + theta)
        return (theta - auc) ** 2 - Z**2 * theta * (1 - theta) * inner / (positives * negatives)

    tiny = 1e-12
    low = float(optimize.brentq(distance, 0.0, min(auc, 1 - tiny))) if auc > 0 else 0.0
    high = float(optimize.brentq(distance, max(auc, tiny), 1.0)) if auc < 1 else 1.0
    return low, high


def auc_value(scores: NDArray[np.floating], positive: NDArray[np.bool_], groups: Groups | None = None) -> Value:
    """AUC with its interval: DeLong, clustered where images are grouped, Newcombe where separation is perfect."""
    found, count, n = area(scores, positive, groups), group_count(groups), len(scores)
    if isinstance(found, str):
        return undefined(found, n=n, groups=count)
    if found.degenerate:
        low, high = newcombe(found.auc, found.positives, found.negatives)
        return Value(found.auc, low, high, n, count)
    half = half_width(found.influence, groups)
    if half is None:
        return Value(found.auc, n=n, groups=count, note="no interval: all images belong to one group")
    return Value(found.auc, max(0.0, found.auc - half), min(1.0, found.auc + half), n, count)
