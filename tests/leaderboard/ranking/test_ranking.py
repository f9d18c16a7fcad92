"""A store ranks as a reader would by hand, and nothing that cannot be compared is mixed."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medrobust.api import Record, Store, measure
from medrobust.plugins.specs import source_hash
from medrobust_leaderboard.ranking import Board, Ranking, Standing, read_duels, read_ranking
from medrobust_leaderboard.ranking.trials import gather

from .conftest import STRANGER, MakeStore

ATTACKS = ("sign", "steps", "slide")


@pytest.fixture(scope="module")
def ranking(full: Store) -> Ranking:
    return read_ranking([full])


def by_hand(store: Store, dataset: str, budget: str = "linf:14/255") -> dict[str, dict[str, Record]]:
    """Records by defense and attack, read from the tables without the ranking's code."""
    cells = store.cells()
    cells = cells[(cells["dataset"] == dataset) & ((cells["budget"] == budget) | (cells["attack"] == "none"))]
    records = dict(store.records(list(cells.index)))
    found: dict[str, dict[str, Record]] = {}
    for row in cells.to_dict("records"):
        found.setdefault(row["defense"], {})[row["attack"]] = records[row["cell"]]
    return found


def right(record: Record) -> np.ndarray[Any, Any]:
    assert record.labels is not None
    return np.asarray(record.adversarial.argmax(axis=1) == record.labels)


def row(board: Board, defense: str) -> Standing:
    (found,) = (r for r in board.standings.rows if r.defense == defense)
    return found


# As a reader would by hand --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", [0, 1], ids=["grey", "colour"])
def test_models_rank_by_their_worst_case_and_the_masked_one_does_not_lead(
    full: Store, ranking: Ranking, place: int
) -> None:
    board = ranking.boards[place]
    records = by_hand(full, board.track.dataset)
    worst = {
        defense: float(np.mean([right(found[a]) for a in (*ATTACKS, "noise")], axis=0).__eq__(1.0).mean())
        for defense, found in records.items()
    }
    honest = sorted((d for d in worst if d != "veil"), key=lambda d: -worst[d])
    assert len(honest) == 3
    shown = board.standings.rows
    assert [r.worst.value for r in shown] == pytest.approx([worst[d] for d in (*honest, "veil")])
    assert [r.defense for r in shown][3] == "veil"
    assert worst["veil"] >= worst[honest[0]]  # the mask would lead
    assert [r.rank for r in shown] == [*(1 + sum(worst[o] > worst[d] for o in honest) for d in honest), None]
    assert [r.tied for r in shown] == [*(sum(worst[o] == worst[d] for o in honest) > 1 for d in honest), False]
    for defense, found in records.items():
        mine = row(board, defense)
        assert mine.clean.value == pytest.approx(right(found["none"]).mean())
        assert {a: c.value for a, c in mine.attacks.items()} == pytest.approx(
            {a: right(found[a]).mean() for a in (*ATTACKS, "noise")}
        )


def test_the_masked_model_is_flagged_with_what_to_do(ranking: Ranking) -> None:
    for board in ranking.boards:
        flags = [f for f in row(board, "veil").flags if f.bars]
        assert {f.kind for f in flags} == {"evidence"}
        assert "gradients are neither zero nor NaN" in {f.name for f in flags}
        assert all(f.advice for f in flags)
        assert not any(r.barred for r in board.standings.rows if r.defense != "veil")


@pytest.mark.parametrize("place", [0, 1], ids=["grey", "colour"])
def test_attacks_rank_by_what_they_break_of_the_same_images(full: Store, ranking: Ranking, place: int) -> None:
    board = ranking.boards[place]
    records = by_hand(full, board.track.dataset)
    broken = {
        a: np.concatenate([(right(f["none"]) & ~right(f[a]))[right(f["none"])] for f in records.values()])
        for a in (*ATTACKS, "noise")
    }
    assert board.attacks is not None
    shown = board.attacks.attacks
    assert len(board.attacks.models) == 4
    assert {s.attack.name: s.broken.value for s in shown} == pytest.approx({a: b.mean() for a, b in broken.items()})
    assert [s.broken.value for s in shown] == sorted((s.broken.value or 0 for s in shown), reverse=True)
    for s in shown:
        others = np.any([b for a, b in broken.items() if a != s.attack.name], axis=0)
        assert s.alone == pytest.approx((broken[s.attack.name] & ~others).mean())
    assert [s.next and s.next.other for s in shown] == [*(s.attack.name for s in shown[1:]), None]
    raw = [s.next for s in shown if s.next]
    assert all(v.adjusted is not None and v.p is not None and v.adjusted >= v.p for v in raw)
    costs = {s.attack.name: s.passes for s in shown}
    assert (costs["noise"], costs["sign"], costs["steps"], costs["slide"]) == (0, 2, 8, 12)


def test_the_front_has_what_no_attack_beats_in_both_strength_and_passes(ranking: Ranking) -> None:
    for board in ranking.boards:
        assert board.attacks is not None
        found = [s for s in board.attacks.attacks if not s.attack.control]
        for s in found:
            beaten = any(
                (o.broken.value, -(o.passes or 0)) != (s.broken.value, -(s.passes or 0))
                and (o.broken.value or 0) >= (s.broken.value or 0)
                and (o.passes or 0) <= (s.passes or 0)
                for o in found
            )
            assert s.on_front == (not beaten)
        assert not any(s.on_front for s in board.attacks.attacks if s.attack.control)


def test_two_attacks_head_to_head(full: Store) -> None:
    duels = read_duels([full], "slide", "steps")
    assert [d.track.dataset for d in duels] == ["textures", "textures(channels=3)"]
    for duel in duels:
        counts = np.zeros((2, 2), dtype=int)
        for found in by_hand(full, duel.track.dataset).values():
            kept = right(found["none"])
            np.add.at(
                counts, ((~right(found["slide"])[kept]).astype(int), (~right(found["steps"])[kept]).astype(int)), 1
            )
        assert [[duel.neither, duel.only_second], [duel.only_first, duel.both]] == counts.tolist()
        assert duel.versus.difference == pytest.approx((duel.only_first - duel.only_second) / duel.n)
        assert duel.versus.test == "mcnemar clustered"


def test_rank_intervals_hold_their_rank_and_numbers_their_cells(ranking: Ranking, full: Store) -> None:
    cells = set(full.cells().index)
    for board in ranking.boards:
        ranked = [r for r in board.standings.rows if r.rank is not None]
        for r in ranked:
            assert r.rank is not None
            assert r.rank_low is not None
            assert r.rank_high is not None
            assert 1 <= r.rank_low <= r.rank <= r.rank_high <= len(ranked)
            for cell in (r.clean, r.worst, *r.attacks.values()):
                assert set(cell.facts["cells"].split("; ")) <= cells


def test_what_is_collected_for_evidence_makes_no_track(ranking: Ranking) -> None:
    assert [b.track.budget for b in ranking.boards] == ["linf:14/255"] * 2


# Nothing is mixed -----------------------------------------------------------------------------------------------------

ONE = '[[grid]]\ndataset = "textures"\nmodel = "tiny-net"\nattack = {attack}\nbudget = "linf:20/255"\n{more}\n'


def grid(attack: str, more: str = "") -> str:
    return ONE.format(attack=attack, more=more)


def only(stores: list[Store], **options: Any) -> Board:
    (board,) = read_ranking(stores, **options).boards
    return board


def values(standing: Standing) -> Mapping[str, float | None]:
    return {name: cell.value for name, cell in standing.attacks.items()}


def test_stores_are_read_as_one(made: MakeStore) -> None:
    parts = [made(grid(f'["none", "{a}"]'), name=a) for a in ("sign", "steps")]
    whole = made(grid('["none", "sign", "steps"]'), name="whole")
    pooled, one = only(parts), only([whole])
    assert values(pooled.standings.rows[0]) == values(one.standings.rows[0])
    assert pooled.standings.rows[0].worst.value == one.standings.rows[0].worst.value
    assert pooled.standings.rows[0].stores == ("sign", "steps")
    assert pooled.attacks is not None
    assert len(pooled.attacks.attacks) == 2
    # A store that is given twice says nothing new.
    assert values(only([whole, whole]).standings.rows[0]) == values(one.standings.rows[0])


def stranger(folder: Path, steps: int) -> Path:
    """The stranger's file in a version of its own."""
    folder.mkdir(exist_ok=True)
    path = folder / "stranger.py"
    path.write_text(STRANGER.read_text().replace("range(self.steps)", f"range({steps})"))
    for module in [m for m in sys.modules if "stranger" in m and "ranking" not in m]:
        del sys.modules[module]
    source_hash.cache_clear()
    return path


@pytest.mark.long
def test_two_versions_of_a_plugin_are_two_attacks(made: MakeStore, tmp_path: Path) -> None:
    stores = [
        made(grid('["none", "slide"]'), stranger(tmp_path / f"v{steps}", steps), name=f"store{steps}")
        for steps in (1, 6)
    ]
    board = only(stores)
    names = [a.name for a in board.standings.attacks]
    assert len(names) == 2
    assert all(name.startswith("slide (") and "source=" in name for name in names)
    assert len({a.mark for a in board.standings.attacks}) == 2
    (standing,) = board.standings.rows
    alone = [only([store]).standings.rows[0].attacks["slide"].value for store in stores]
    assert [cell.value for cell in standing.attacks.values()] == alone


def test_what_a_corrected_plugin_replaced_is_left_out_and_named(made: MakeStore, tmp_path: Path) -> None:
    made(grid('["none", "slide"]'), stranger(tmp_path / "mine", 1))
    store = made(grid('["none", "slide"]'), stranger(tmp_path / "mine", 6))
    ranking = read_ranking([store])
    assert [a.name for a in ranking.boards[0].standings.attacks] == ["slide"]
    assert [(left.what, left.why, left.count) for left in ranking.left_out] == [
        ("superseded", "other source of attack 'slide'", 1)
    ]
    assert "--superseded" in ranking.left_out[0].advice


def test_other_images_under_one_name_are_another_track(made: MakeStore) -> None:
    stores = [
        made(
            f'[define]\nmine = {{ name = "textures", channels = {n} }}\n'
            + grid('["none", "sign"]').replace('"textures"', '"@mine"'),
            name=f"s{n}",
        )
        for n in (1, 3)
    ]
    boards = read_ranking(stores).boards
    assert [b.track.dataset for b in boards] == ["mine", "mine"]
    assert [len(b.standings.rows) for b in boards] == [1, 1]
    assert len({b.track.title for b in boards}) == 2
    assert all("channels" in b.track.mark for b in boards)


def test_one_model_under_two_names_is_one_row(made: MakeStore) -> None:
    first = made(grid('["none", "sign"]'), name="a")
    second = made('[define]\nvit = "tiny-net"\n' + grid('["none", "steps"]').replace('"tiny-net"', '"@vit"'), name="b")
    (standing,) = only([first, second]).standings.rows
    assert (standing.name, set(standing.attacks)) == ("tiny-net", {"sign", "steps"})


@pytest.mark.long
def test_a_model_that_faced_less_than_most_has_no_rank(made: MakeStore) -> None:
    text = grid('["none", "sign", "steps"]', 'defense = ["none", "drilled"]')
    store = made(text + grid('["none", "sign"]', 'defense = "blur"'))
    board = only([store])
    assert [(r.defense, r.rank) for r in board.standings.rows][-1] == ("blur", None)
    (flag,) = (f for f in row(board, "blur").flags if f.bars)
    assert (flag.kind, flag.name) == ("attacks", "not attacked by steps")
    # An attack that only one model faced bars nobody, and the attacks are compared where both were tried.
    board = only([made(grid('["none", "sign"]', 'defense = ["none", "blur"]') + grid('["none", "steps"]'), name="few")])
    assert not any(r.barred for r in board.standings.rows)
    assert board.attacks is not None
    assert board.attacks.models == ("tiny-net",)


def test_a_model_that_only_noise_was_tried_on_has_no_rank(made: MakeStore) -> None:
    (standing,) = only([made(grid('["none", "hum"]'))]).standings.rows
    assert standing.rank is None
    assert "no attack that sees the model" in {f.name for f in standing.flags if f.bars}


def test_an_attack_that_failed_is_named_where_its_number_would_stand(made: MakeStore, tmp_path: Path) -> None:
    path = tmp_path / "brittle.py"
    # The defended model of this name alone is too much for it.
    fault = "        if 'AvgPool' in str(classifier.module): raise ValueError('no pools')\n        point = images\n"
    path.write_text(STRANGER.read_text().replace('"slide"', '"brittle"').replace("        point = images\n", fault))
    store = made(grid('["none", "sign", "brittle"]', 'defense = ["none", "blur", "drilled"]'), path)
    board = only([store])
    blurred = row(board, "blur")
    assert blurred.rank is None
    assert board.standings.rows[-1] is blurred
    assert blurred.attacks["brittle"].state == "failed"
    (flag,) = (f for f in blurred.flags if f.bars)
    assert (flag.kind, flag.name) == ("failed", "brittle failed")
    assert "no pools" in flag.detail


def test_an_attack_that_failed_on_every_model_is_named_too(made: MakeStore, tmp_path: Path) -> None:
    path = tmp_path / "brittle.py"
    fault = "        raise ValueError('not today')\n"
    path.write_text(STRANGER.read_text().replace('"slide"', '"brittle"').replace("        point = images\n", fault))
    (standing,) = only([made(grid('["none", "sign", "brittle"]'), path)]).standings.rows
    (flag,) = (f for f in standing.flags if f.kind == "failed")
    assert flag.name == "brittle failed"
    assert "not today" in flag.detail


@pytest.mark.long
def test_seeds_are_one_row_with_their_mean(made: MakeStore) -> None:
    store = made(grid('["none", "sign", "steps"]', 'defense = ["none", "blur"]\nseed = [0, 1, 2]'))
    board = only([store])
    assert [r.seeds for r in board.standings.rows] == [("0", "1", "2")] * 2
    for standing in board.standings.rows:
        worst = []
        for seed in standing.seeds:
            mine = [
                t
                for t in gather([store]).trials
                if t.labels["seed"] == seed and t.labels["defense"] == standing.defense
            ]
            worst.append(np.all([right(t.record) for t in mine], axis=0).mean())
        assert standing.worst.value == pytest.approx(np.mean(worst))
        assert "interval over 3 seeds" in standing.worst.note


@pytest.mark.long
def test_a_seed_that_faced_fewer_attacks_is_left_out_of_the_worst_case(made: MakeStore) -> None:
    store = made(grid('["none", "sign"]', "seed = [0, 1]") + grid('["none", "steps"]'))
    (standing,) = only([store]).standings.rows
    assert standing.seeds == ("0",)
    assert "without seed 1" in standing.worst.note


def test_a_random_model_is_broken_by_the_attack_that_breaks_it_most_often(made: MakeStore) -> None:
    store = made(grid('["none", "sign", "steps"]', 'defense = { name = "jitter", amount = 0.3 }'))
    (standing,) = only([store]).standings.rows
    attacks = [cell.value for cell in standing.attacks.values()]
    assert standing.worst.value is not None
    assert all(value is not None and standing.worst.value <= value + 1e-9 for value in attacks)
    trials = gather([store]).trials
    shares = [np.mean([right(t.record.draw(n)) for n in range(t.record.draws)], axis=0) for t in trials]
    assert standing.worst.value == pytest.approx(np.min(shares, axis=0).mean())
    assert "mean of 8 draws" in standing.worst.note


def test_radii_of_one_length_are_one_track_in_ascending_order(made: MakeStore) -> None:
    text = grid('["none", "sign"]').replace('"linf:20/255"', '["linf:20@[0,255]", "linf:2/255"]')
    boards = read_ranking([made(text, name="a"), made(grid('["none", "steps"]'), name="b")]).boards
    assert [b.track.budget for b in boards] == ["linf:2/255", "linf:20@[0,255]"]
    assert len(boards[1].standings.rows[0].attacks) == 2


def test_without_evidence_a_row_says_so_and_keeps_its_rank(made: MakeStore) -> None:
    (standing,) = only([made(grid('["none", "sign"]'))]).standings.rows
    assert standing.rank == 1
    assert [(f.name, f.bars) for f in standing.flags] == [("no evidence was collected", False)]


def test_an_attack_without_a_radius_is_left_out_with_the_reason(made: MakeStore) -> None:
    ranking = read_ranking([made(grid('["none", "fab-t"]').replace("linf:20/255", "l2:min"))])
    assert ranking.boards == ()
    assert [(left.what, left.why) for left in ranking.left_out] == [
        ("fab-t l2:min on textures", "no radius: the smallest perturbation is searched for")
    ]


def test_filters_choose_what_is_ranked_and_evidence_counts_all_the_same(full: Store) -> None:
    ranking = read_ranking([full], {"attack": ["s*"], "dataset": ["textures"], "defense": ["veil", "none"]})
    (board,) = ranking.boards
    assert {a.name for a in board.standings.attacks} == {"sign", "steps", "slide"}
    assert [r.rank for r in board.standings.rows] == [1, None]


def test_the_clean_number_is_that_of_the_metric(full: Store, ranking: Ranking) -> None:
    found = by_hand(full, "textures")["none"]["none"]
    expected = measure("accuracy", found)
    clean = row(ranking.boards[0], "none").clean
    assert (clean.value, clean.low, clean.high, clean.n) == (expected.value, expected.low, expected.high, expected.n)
