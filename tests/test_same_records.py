"""The law of records: equal seeds give equal records, whatever else a run does; what may differ is bounded and told."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medrobust.api import Record, Session, Store
from medrobust.engine.crafting import stream
from medrobust.results.agreement import compare_samples

Program = Callable[..., Any]
Bits = Callable[[Path], dict[str, Any]]
TESTS = Path(__file__).parent
TINY, OTHERS = TESTS / "tiny.py", TESTS / "misbehaving.py"
GRID = """
[[grid]]
dataset = "textures"
model = "tiny-net"
defense = ["none", "jitter"]
attack = ["sign", { name = "steps", steps = [1, 4] }, "one-for-all", "hum"]
budget = "linf:30/255"
seed = [0, 1]
"""
UNSTABLE = '''
import secrets
from dataclasses import dataclass
from typing import ClassVar
from medrobust import Attack, ThreatModel


@dataclass(frozen=True)
class Unstable(Attack):
    """Noise that nobody can draw again."""

    name: ClassVar[str] = "unstable"
    revision: ClassVar[int] = 1
    repeatable: ClassVar[bool] = False
    threat: ClassVar[ThreatModel] = ThreatModel(norms={"linf"}, knowledge="none")

    def perturb(self, classifier, images, goal, budget, rng):
        noise = images.new_tensor([secrets.randbelow(3) - 1 for _ in range(images.numel())]).view_as(images)
        return (images + budget.eps * noise).clamp(0, 1)
'''


def backwards(value: Any) -> Any:
    """A grid with every list in the opposite order."""
    if isinstance(value, dict):
        return {name: backwards(each) for name, each in reversed(value.items())}
    return [backwards(each) for each in reversed(value)] if isinstance(value, list) else value


def run(place: Path, grid: Any = None, *, files: tuple[Path, ...] = (TINY,), workers: int = 1) -> Store:
    session = Session(place, files, device="cpu", workers=workers)
    outcome = session.run(session.plan(grid or tomllib.loads(GRID)))
    assert outcome.complete, outcome.problems
    return session.store


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """The store of a run of one worker, in the order of the grid, with the plugins that it needs."""
    return run(tmp_path_factory.mktemp("usual") / "store")


def test_the_order_of_cells_changes_no_bit(usual: Store, tmp_path: Path, bits: Bits) -> None:
    grid = backwards(tomllib.loads(GRID))
    assert grid["grid"][0]["seed"] == [1, 0]
    run(tmp_path / "store", grid)
    assert bits(tmp_path / "store") == bits(usual.path)


def test_cells_that_are_asked_for_alone_are_the_same_cells(usual: Store, tmp_path: Path, bits: Bits) -> None:
    (block,) = tomllib.loads(GRID)["grid"]
    run(tmp_path / "store", {"grid": [{**block, "defense": "jitter", "attack": "hum", "seed": 1}]})
    alone, all_of_them = bits(tmp_path / "store"), bits(usual.path)
    assert len(alone) == 2
    assert alone == {cell: all_of_them[cell] for cell in alone}


@pytest.mark.long
def test_plugins_that_the_grid_does_not_name_change_no_bit(usual: Store, tmp_path: Path, bits: Bits) -> None:
    (tmp_path / "unstable.py").write_text(UNSTABLE)
    run(tmp_path / "store", files=(tmp_path / "unstable.py", OTHERS, TINY))
    assert bits(tmp_path / "store") == bits(usual.path)


@pytest.mark.long
def test_the_number_of_workers_changes_no_bit(usual: Store, tmp_path: Path, bits: Bits) -> None:
    run(tmp_path / "store", workers=2)
    assert bits(tmp_path / "store") == bits(usual.path)


@pytest.mark.long
@pytest.mark.numerical
def test_other_batches_have_the_same_draws_and_nearly_the_same_logits(
    usual: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "batch_size_for", lambda size, device: 5)
    other = run(tmp_path / "store")
    cells = other.cells(["attack", "batch_size"])
    assert set(cells["batch_size"]) == {5}
    assert min(usual.cells(["batch_size"])["batch_size"]) >= 24, "all images at once"
    before, after = records(usual), records(other)
    assert before.keys() == after.keys()
    for cell in before:
        assert np.array_equal(before[cell].ids, after[cell].ids)
        # Logits of images that are equal: clean ones, and those of noise that is drawn for each image.
        assert np.abs(before[cell].clean - after[cell].clean).max() <= 1e-4
        if cells["attack"][cell] == "hum":
            assert np.array_equal(before[cell].linf, after[cell].linf), "the same draws"
            assert np.abs(before[cell].adversarial - after[cell].adversarial).max() <= 1e-4


@pytest.mark.long
@pytest.mark.numerical
def test_other_threads_are_other_cells_whose_numbers_stand_side_by_side(program: Program, tmp_path: Path) -> None:
    # Untrained, so that both have the same weights.
    net = {"name": "tiny-net", "recipe": {"epochs": 0}}
    block = {"dataset": "textures", "model": net, "attack": ["hum", "sign"], "budget": "linf:30/255"}
    stores = [run(tmp_path / f"by-{n}", {"grid": [{**block, "threads": n}]}) for n in (1, 2)]
    one, two = ({key(store, c): r for c, r in records(store).items()} for store in stores)
    assert one.keys() == two.keys()
    assert set(stores[0].cells([]).index).isdisjoint(stores[1].cells([]).index)
    for name, record in one.items():
        assert np.abs(record.clean - two[name].clean).max() <= 1e-4
        if name == "hum":
            assert np.array_equal(record.linf, two[name].linf), "the same draws"
            assert np.abs(record.adversarial - two[name].adversarial).max() <= 1e-4
    told = program("leaderboard", *(store.path for store in stores), plugins=(TINY,))
    assert told.status == 0
    assert "threads" in told.out


def test_a_record_that_differs_is_told_with_its_decisions(usual: Store) -> None:
    """What `verify` says where logits move: how far, and in how many images the decision is another one."""
    cell = next(iter(usual.cells(["attack"]).query("attack == 'sign'").index))
    ((_, samples),) = usual.samples([cell])
    moved = samples.logits.copy()
    moved[:2] = moved[:2, ::-1]
    agreement = compare_samples(samples, type(samples)(**{**vars(samples), "logits": moved}), multilabel=False)
    assert (agreement.degree, agreement.decisions) == ("different", 2)


@pytest.mark.long
def test_what_is_not_repeatable_is_declared_and_said_in_tables(program: Program, tmp_path: Path) -> None:
    (tmp_path / "unstable.py").write_text(UNSTABLE)
    (tmp_path / "grid.toml").write_text(
        '[[grid]]\ndataset = "textures"\nmodel = "tiny-net"\nbudget = "linf:8/255"\n'
        'attack = ["sign", "unstable", { name = "all-of", of = ["sign", "unstable"] }]\n'
    )
    plugins = (TINY, tmp_path / "unstable.py")
    assert program("run", "grid.toml", "--store", "store", plugins=plugins).status == 0
    cells = Store(tmp_path / "store").cells(["attack", "reason"])
    said = "attack 'unstable' declares that equal seeds need not give equal records"
    assert dict(zip(cells["attack"], cells["reason"].fillna(""), strict=True)) == {
        "none": "",
        "sign": "",
        "unstable": said,
        cells["attack"][cells["attack"].str.startswith("all-of")].item(): said,
    }
    for table in ((), ("--metric", "accuracy")):
        told = program("leaderboard", "store", *table, plugins=plugins)
        assert said in " ".join(told.out.split())
    # Another run has another record, and a check by running it again says why.
    verified = program("verify", "store", plugins=plugins)
    assert said in " ".join((verified.out + verified.err).split())


def records(store: Store) -> dict[str, Record]:
    return dict(store.records(list(store.cells([]).index)))


def key(store: Store, cell: str) -> str:
    return str(store.cells(["attack"])["attack"][cell])
