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
from .front import draw_front
from .reading import ranking_of, read_duels, read_ranking
from .tables import attacks_table, duel_lines, flag_in_words, ranking_tables, standings_table
from .trials import gather

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
    "attacks_table",
    "draw_front",
    "duel_lines",
    "flag_in_words",
    "gather",
    "ranking_of",
    "ranking_tables",
    "read_duels",
    "read_ranking",
    "standings_table",
]
