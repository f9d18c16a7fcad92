"""About how many images parts of data sets hold, known without decoding."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from ..contracts import Dataset, DataSource, Members, Recipe
from ..errors import MedrobustError
from ..grid.identity import digest
from ..grid.parts import Part
from ..grid.slices import Bound, Slice


@dataclass(frozen=True)
class Size:
    """A number of images, and of how many of them the classes are.

    Attributes:
        images: about how many.
        largest: images of the largest class, and the number of classes; None where classes are not known.
    """

    images: int
    largest: tuple[int, int] | None = None

    def epoch(self, recipe: Recipe) -> int:
        """Images that an epoch of a training takes: more than there are where minority classes are oversampled."""
        if recipe.balance != "oversample" or self.largest is None:
            return self.images
        return self.largest[0] * self.largest[1]

    def cut(self, part: Slice) -> Size:
        """About what a slice keeps."""
        if not self.images:
            return self
        start = _place(part.start, self.images)
        stop = self.images if part.stop is None else _place(part.stop, self.images)
        kept = max(min(stop, self.images) - start, 0)
        kept = kept if part.limit is None else min(kept, part.limit)
        largest = self.largest and (round(self.largest[0] * kept / self.images), self.largest[1])
        return Size(kept, largest)


def _place(bound: Bound, count: int) -> int:
    return round(bound * count) if isinstance(bound, Fraction) else bound


class Sizes:
    """Sizes of parts, each split counted once.

    Args:
        source: where data sets look for their files.
        otherwise: the size of splits that are not known before images are decoded.
    """

    def __init__(self, source: DataSource, otherwise: Size | None = None) -> None:
        self.source = source
        self.otherwise = otherwise
        self._splits: dict[str, Mapping[str, Size]] = {}

    def of(self, part: Part) -> Size | None:
        """The size of a part; None where neither its split's nor another is known."""
        key = digest(part.data)
        if key not in self._splits:
            assert isinstance(part.dataset.plugin, Dataset)
            try:
                members = part.dataset.plugin.members(self.source)
            except MedrobustError:
                members = None
            self._splits[key] = {split: _size(found) for split, found in (members or {}).items()}
        whole = self._splits[key].get(part.slice.split, self.otherwise)
        return whole and whole.cut(part.slice)


def _size(members: Members) -> Size:
    counts = Counter(members.labels or ())
    return Size(len(members.ids), (max(counts.values()), len(counts)) if counts else None)
