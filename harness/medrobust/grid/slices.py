"""Slices of a data set: whole groups, stratified by class, from one fixed permutation; they nest by construction."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from ..contracts import SPLITS, ImageData
from ..contracts.numbers import exact
from ..errors import did_you_mean, shown

_SLICE = re.compile(r"(?P<split>[\w-]+)(?:\[(?P<start>[^:\]]*):(?P<stop>[^:\]]*)\])?(?:\|(?P<limit>\d+))?")
Bound = Fraction | int
"""A share of the images (Fraction) or a number of images (int)."""


@dataclass(frozen=True)
class Slice:
    """`train`, `train[:50%]`, `train[50%:]`, `train[:1000]`; thinned to about 60 images: `train[50%:]|60`.

    Attributes:
        split: `train`, `val` or `test`.
        start: where it begins.
        stop: where it ends, or None for the end.
        limit: keep at most about this many images of the result, as `--images` asks for.
    """

    split: str
    start: Bound = Fraction(0)
    stop: Bound | None = None
    limit: int | None = None

    @classmethod
    def parse(cls, text: str) -> Slice:
        """Read a slice.

        Raises:
            ValueError: with the accepted forms or the nearest split.
        """
        match = _SLICE.fullmatch(text.replace(" ", ""))
        if match is None:
            raise ValueError(
                f"{shown(text)} is not a valid slice; write test, train[:50%], train[50%:] or train[:1000]"
            )
        if match["split"] not in SPLITS:
            raise ValueError(
                f"{shown(text)}: no split is called {shown(match['split'])}{did_you_mean(match['split'], SPLITS)}"
            )
        start = _bound(match["start"] or "0%", text)
        stop = _bound(match["stop"], text) if match["stop"] else None
        if start == 1 and isinstance(start, Fraction):
            raise ValueError(f"{shown(text)} is empty: it starts at the end")
        if stop is not None and (stop == 0 or (type(start) is type(stop) and start >= stop)):
            raise ValueError(f"{shown(text)} is empty: it ends at or before its start")
        limit = int(match["limit"]) if match["limit"] else None
        if limit == 0:
            raise ValueError(f"{shown(text)} is empty: it keeps no image")
        return cls(match["split"], start, stop, limit)

    def thinned(self, images: int | None) -> Slice:
        """The same slice cut to about `images` images, or to its own limit where that is less."""
        return replace(self, limit=min(images, self.limit or images)) if images else self

    def __str__(self) -> str:
        whole = self.start == 0 and self.stop is None
        text = self.split if whole else f"{self.split}[{_show(self.start)}:{_show(self.stop)}]"
        return text + (f"|{self.limit}" if self.limit else "")


def _bound(text: str, whole: str) -> Bound:
    try:
        if text.endswith("%"):
            share = exact(text[:-1]) / 100
            if not 0 <= share <= 1:
                raise ValueError
            return share
        count = int(text)
    except (ValueError, ZeroDivisionError):
        raise ValueError(
            f"{shown(whole)}: {shown(text)} is neither a share between 0% and 100% nor a number of images"
        ) from None
    if count < 0:
        raise ValueError(f"{shown(whole)}: a number of images cannot be negative")
    return count


def _show(bound: Bound | None) -> str:
    if bound is None or bound == 0:
        return ""
    if isinstance(bound, int):
        return str(bound)
    # The text is part of identities, so it must be exact: 33.3333% and 33.33333% are different slices.
    percent = bound * 100
    decimal = repr(float(percent)).removesuffix(".0")
    return f"{decimal if Fraction(decimal) == percent else percent}%"


def cut(data: ImageData, part: Slice, seed: int) -> NDArray[np.int64]:
    """Indices of the images in a slice, ascending.

    Groups are whole. They stand in one order per split, fixed by `seed` and the group ids alone: shuffled within each
    stratum (the set of classes a group holds), then merged so that every prefix keeps the strata's shares. A bound cuts
    where the middle of a group lies, so that complementary slices share nothing and miss nothing.
    """
    groups = data.ids if data.groups is None else data.groups
    _, first, inverse, sizes = np.unique(groups, return_index=True, return_inverse=True, return_counts=True)
    names = groups[first]
    order, middle_share, middle_count = _arrange(names, sizes, _strata(data, inverse, len(names)), seed)
    lower = _compare(part.start, middle_share, middle_count, np.greater_equal)
    upper = _compare(part.stop, middle_share, middle_count, np.less) if part.stop is not None else True
    chosen = order[lower & upper]
    if part.limit is not None:
        kept = sizes[chosen]
        # Always at least one group, so that thinning never empties a slice.
        chosen = chosen[(np.cumsum(kept) - kept / 2 < part.limit) | (np.arange(len(chosen)) == 0)]
    return np.flatnonzero(np.isin(inverse, chosen)).astype(np.int64)


_Floats = NDArray[np.float64]


def _compare(
    bound: Bound, share: _Floats, count: _Floats, operator: Callable[[_Floats, float], NDArray[np.bool_]]
) -> NDArray[np.bool_]:
    return operator(count, bound) if isinstance(bound, int) else operator(share, float(bound))


def _strata(data: ImageData, inverse: NDArray[np.int64], groups: int) -> NDArray[np.int64]:
    """A number per group for the set of classes it holds; multi-label and unlabelled data form one stratum."""
    if data.labels is None or data.labels.ndim != 1:
        return np.zeros(groups, dtype=np.int64)
    held = np.zeros((groups, int(data.labels.max(initial=0)) + 1), dtype=bool)
    held[inverse, data.labels] = True
    return np.unique(held, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64)


def _arrange(
    names: NDArray[np.str_], sizes: NDArray[np.int64], strata: NDArray[np.int64], seed: int
) -> tuple[NDArray[np.int64], _Floats, _Floats]:
    """The order of groups, with the middle of each as a share of its stratum's images and as a count over all."""
    keys = np.array([hashlib.blake2b(f"{seed}\0{name}".encode(), digest_size=8).digest() for name in names])
    middle = np.zeros(len(names))
    for stratum in np.unique(strata):
        members = np.flatnonzero(strata == stratum)
        members = members[np.argsort(keys[members], kind="stable")]
        cumulated = np.cumsum(sizes[members])
        middle[members] = (cumulated - sizes[members] / 2) / cumulated[-1]
    order = np.lexsort((keys, middle))
    ordered = sizes[order]
    return order, middle[order], np.cumsum(ordered) - ordered / 2
