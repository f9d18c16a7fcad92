"""Ranking defended models and attacks from the records of one or several stores.

`board` has what a ranking says, as frozen data. `read_ranking(stores, where)` makes a `Ranking` of stores, `read_duels`
holds two attacks against each other, `tables` makes `Table`s of both for the renderers, and `front` draws strength
against passes.
"""

from .board import (
    AttackName,
    AttackRanking,
    Board,
    Duel,
    Flag,
    LeftOut,
    Ranking,
    Standing,
    Standings,
    Strength,
    Track,
    Versus,
)
from .reading import read_duels, read_ranking

__all__ = [
    "AttackName",
    "AttackRanking",
    "Board",
    "Duel",
    "Flag",
    "LeftOut",
    "Ranking",
    "Standing",
    "Standings",
    "Strength",
    "Track",
    "Versus",
    "read_duels",
    "read_ranking",
]
