"""From stores to a ranking."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from medrobust.api import Store

from ..labels import Where, matches
from ..store_cells import Result
from .board import Board, Duel, LeftOut, Ranking
from .compare import duels_of
from .naming import attacks_of, models_of, tracks_of
from .standings import Contest, standings_of
from .strength import strength_of
from .trials import Gathered, gather


def read_ranking(stores: Sequence[Store], where: Where | None = None) -> Ranking:
    """The rankings of all tracks of some stores.

    Args:
        stores: where the records are, third parties' included.
        where: labels wanted, by axis; all if not given. What was collected for evidence counts as such in any case.
    """
    return ranking_of(gather(stores), where)


def ranking_of(gathered: Gathered, where: Where | None = None) -> Ranking:
    """The rankings of what was read from stores; arguments as of `read_ranking`."""
    contests, homeless = contests_of(gathered, where or {})
    boards = tuple(Board(c.track, standings_of(c), strength_of(c)) for c in contests)
    left_out = (*_left_out(homeless), *_superseded(gathered))
    return Ranking(boards, left_out, gathered.stores)


def read_duels(stores: Sequence[Store], first: str, second: str, where: Where | None = None) -> list[Duel]:
    """Two attacks head to head on every track of some stores; see `compare.duels_of`."""
    return duels_of(contests_of(gather(stores), where or {})[0], first, second)


def contests_of(gathered: Gathered, where: Where) -> tuple[list[Contest], list[Result]]:
    """What happened on each track, and results without a record that belong to none."""
    trials = [t for t in gathered.trials if matches(t.labels, where)]
    homeless = [r for r in gathered.without if matches(r.labels, where)]
    contests: list[Contest] = []
    for track, mine in tracks_of(trials, gathered.identity):
        models = models_of(mine, gathered.identity)
        named = {(m.train_set, m.model, m.defense): m.name for m in reversed(models.values())}
        absent: dict[str, list[Result]] = {}
        for result in homeless:
            place = (track.dataset, track.evaluate_on, track.budget)
            name = named.get((result.labels["train_set"], result.labels["model"], result.labels["defense"]))
            if name is not None and result.key(("dataset", "evaluate_on", "budget")) == place:
                absent.setdefault(name, []).append(result)
        attacks = attacks_of(mine, gathered.identity)
        contests.append(Contest(track, mine, models, attacks, absent, gathered.evidence, gathered.stores))
    placed = {id(r) for c in contests for results in c.absent.values() for r in results}
    return contests, [r for r in homeless if id(r) not in placed]


def _left_out(results: Sequence[Result]) -> list[LeftOut]:
    """Results in no ranking, those of one reason together."""
    groups: dict[tuple[str, str], int] = {}
    for result in results:
        if result.evidence:
            continue
        labels = result.labels
        what = f"{labels['attack']} {labels['budget']}".strip() + f" on {labels['dataset']}"
        key = (what, result.reason)
        groups[key] = groups.get(key, 0) + 1
    return [LeftOut(what, why, count) for (what, why), count in groups.items()]


def _superseded(gathered: Gathered) -> list[LeftOut]:
    advice = "medrobust leaderboard STORE --superseded shows them"
    return [LeftOut("superseded", why, count, advice) for why, count in Counter(gathered.hidden).most_common()]
