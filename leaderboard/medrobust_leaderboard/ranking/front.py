"""The figure of strength against passes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .board import AttackRanking, Ranking

if TYPE_CHECKING:
    # Drawing brings matplotlib along.
    from ..figures import FrontPoint, SavedFigure


def draw_front(ranking: Ranking, path_stem: Path) -> SavedFigure | None:
    """Write `<path_stem>.png`, `.svg` and `.csv`; None where no attack has recorded passes."""
    from ..figures import FrontPanel, fronts, fronts_data, save

    boards = [board.attacks for board in ranking.boards if board.attacks is not None]
    panels = [FrontPanel(b.track.title, points) for b in boards if (points := _points(b))]
    return save(fronts(panels), fronts_data(panels), path_stem) if panels else None


def _points(ranking: AttackRanking) -> tuple[FrontPoint, ...]:
    from ..figures import FrontPoint

    return tuple(
        FrontPoint(
            name=s.attack.short,
            passes=s.passes,
            broken=s.broken.value,
            low=s.broken.low,
            high=s.broken.high,
            on_front=s.on_front,
            control=s.attack.control,
        )
        for s in ranking.attacks
        if s.passes is not None and s.broken.value is not None
    )
