"""How many images models were trained on and evaluated on: what no record says, and the table `parts` does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from medrobust.api import Cell, Store, Value

from .selection import Selected

ByClass = Mapping[str, int]
"""Numbers of images by the name of their class."""


class ImageCounts:
    """The numbers of images of a store's parts.

    Args:
        store: whose table `parts` says what slices hold; a slice is described once something was evaluated on it.
    """

    def __init__(self, store: Store) -> None:
        self._parts: dict[str, dict[str, int]] = {}
        if store.exists:
            rows = store.rows("parts")
            for part, name, images in zip(rows["part"], rows["class"], rows["images"], strict=True):
                self._parts.setdefault(part, {})[name] = int(images)

    def trained(self, cell: Cell) -> ByClass | None:
        """Images by class that a cell's model was trained on; None where the store does not say."""
        return self._parts.get(cell.target.train.id)

    def evaluated(self, cell: Cell) -> ByClass | None:
        """Images by class that a cell was evaluated on; None where the store does not say."""
        return self._parts.get(cell.part.id)

    def get(self, selected: Sequence[Selected], name: str) -> Value | None:
        """A count of `COUNTS` for cells that differ in nothing but the seed, or None if parts are not described."""
        cell = selected[0].entry.cell
        if cell is None:
            return None
        if cell.target.info.task != "multiclass":
            return Value(None, reason="images of several labels are not counted by class")
        trained, evaluated = self.trained(cell), self.evaluated(cell)
        if trained is None or evaluated is None:
            return None
        classes = cell.target.info.classes
        index = selected[0].index
        if name == "study_images_by_class" and index is not None:
            return Value(float(trained.get(classes[index], 0) + evaluated.get(classes[index], 0)))
        totals = sum(trained.values()), sum(evaluated.values())
        named = ", ".join(f"C{number} {each}" for number, each in enumerate(classes, 1))
        return Value(float(sum(totals)), note=f"{named}; {totals[0]:,} trained on, {totals[1]:,} evaluated on")
