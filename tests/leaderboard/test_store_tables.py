"""The tables of a store: the number that was last asked for under each label, and no other cell's."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from medrobust import Shape
from medrobust.api import Session, measure
from medrobust.engine.requests import write_request
from medrobust.plugins.specs import source_hash
from medrobust_leaderboard.store_results import read_results
from medrobust_leaderboard.store_tables import natural, store_tables, superseded_line, tables_of
from medrobust_leaderboard.table import Table, TableCell

TINY = Path(__file__).parents[1] / "tiny.py"
ATTACK = '''
from dataclasses import dataclass
from typing import ClassVar

from medrobust import Attack, ThreatModel


@dataclass(frozen=True)
class Own(Attack):
    """An attack of somebody's own."""

    name: ClassVar[str] = "NAME"
    threat: ClassVar[ThreatModel] = ThreatModel(norms={"linf"})

    def perturb(self, classifier, images, goal, budget, rng):
        BODY
'''
NOTHING = "return images"
SIGN = "return (images + budget.eps * classifier.gradient(images, goal.loss).gradient.sign()).clamp(0, 1)"
BROKEN = "raise ZeroDivisionError('no room')"

Run = Callable[..., Session]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run a grid of the test's own store with some plugin files, as a new program would."""

    def make(text: str, *files: Path, name: str = "grid") -> Session:
        source_hash.cache_clear()
        grid = tmp_path / f"{name}.toml"
        grid.write_text(text)
        session = Session(tmp_path / "store", (TINY, *files), device="cpu", workers=1)
        session.run(session.plan(grid))
        return session

    return make


def attack_file(folder: Path, body: str, *, name: str = "own", file: str = "mine.py") -> Path:
    path = folder / file
    path.write_text(ATTACK.replace("NAME", name).replace("BODY", body))
    for module in [m for m in sys.modules if path.stem in m]:
        del sys.modules[module]
    return path


def grid(
    attack: str = '["none", "own"]', *, model: str = '"tiny-net"', more: str = "", eps: str = '"linf:60/255"'
) -> str:
    return f'[[grid]]\ndataset = "textures"\nmodel = {model}\nattack = {attack}\nbudget = {eps}\n{more}\n'


def only(session: Session, name: str = "accuracy", **options: Any) -> Table:
    (table,) = store_tables(session.store, name, **options)
    return table


def at(table: Table, *row: str, budget: str = "linf:60/255") -> TableCell:
    return table.cell(row, (budget,))


def accuracy(session: Session, cell: str) -> float:
    ((_, record),) = session.store.records([cell])
    value = measure("accuracy", record).scalar
    assert value is not None
    return value


# The four ways in which a label once showed another cell's number -----------------------------------------------------


def test_an_attack_whose_source_was_corrected_shows_its_new_number(run: Run, tmp_path: Path) -> None:
    weak = at(only(run(grid(), attack_file(tmp_path, NOTHING))), "own")
    corrected = run(grid(), attack_file(tmp_path, SIGN))
    strong = at(only(corrected), "own")
    assert weak.value == at(only(corrected), "none").value
    assert strong.value == 0.0
    assert strong.n == 24
    line = superseded_line(read_results(corrected.store), "here")
    assert line.startswith("1 superseded result is not shown: other source of attack 'own' (1); ")
    assert "'medrobust leaderboard here --superseded'" in line
    assert "'medrobust store prune here'" in line
    shown = only(corrected, superseded=True)
    assert shown.row_names == ("attack", "distinguished by")
    assert at(shown, "own", "superseded: other source of attack 'own'").value == weak.value
    assert at(shown, "own", "").value == strong.value
    assert superseded_line(read_results(corrected.store, superseded=True), "here") == ""
    # Taken back, the old number is shown again, without computing it.
    reverted = run(grid(), attack_file(tmp_path, NOTHING))
    assert at(only(reverted), "own") == weak
    assert len(reverted.store.cells()) == 3


def test_weights_replaced_under_the_same_name_show_the_new_model(run: Run, tmp_path: Path, tiny_net: Any) -> None:
    weights = tmp_path / "net.safetensors"
    model = f'{{ name = "tiny-net", init = "{weights}", recipe = {{ epochs = 0 }} }}'
    clean = []
    for seed in (0, 3):
        torch.manual_seed(seed)
        save_file(tiny_net().build(Shape(1, 8, 8, 2)).state_dict(), weights)
        session = run(grid('["none", "sign"]', model=model))
        newest = session.store.cells().sort_values("created")
        clean.append(accuracy(session, newest[newest["attack"] == "none"]["cell"].iloc[-1]))
        assert at(only(session), "none").value == clean[-1]
    assert clean[0] != clean[1]
    table = only(session)
    assert table.title.startswith("tiny-net(init=net.safetensors#")
    assert str(tmp_path) not in table.title
    assert table.caption.startswith("accuracy: imported weights, evaluated on test")
    assert read_results(session.store).hidden == ("other weights of model 'tiny-net'",) * 2


def test_equal_names_of_two_plugins_are_two_rows(run: Run, tmp_path: Path) -> None:
    file = attack_file(tmp_path, NOTHING, name="pgd", file="clash.py")
    table = only(run(grid('["none", "pgd", "clash:pgd"]'), file))
    values = {row: at(table, *row).value for row in table.rows if row[0] != "none"}
    assert len(values) == 2
    assert sorted(values.values()) == [0.0, at(table, *table.rows[0]).value]  # type: ignore[type-var]
    assert sum("clash:pgd" in " ".join(row) for row in values) == 1


def test_a_failed_cell_hides_no_later_good_one(run: Run, tmp_path: Path) -> None:
    failed = at(only(run(grid(), attack_file(tmp_path, BROKEN))), "own")
    assert (failed.state, failed.value) == ("failed", None)
    assert "no room" in failed.note
    mended = run(grid(), attack_file(tmp_path, SIGN))
    assert at(only(mended), "own").value == 0.0
    assert read_results(mended.store).hidden == ()
    # The other way round: what was asked for last failed, and the note says that an earlier number is there.
    broken = at(only(run(grid(), attack_file(tmp_path, BROKEN.replace("room", "space")))), "own")
    assert broken.state == "failed"
    assert "no space" in broken.note
    assert "there is an earlier, superseded number: --superseded shows it" in broken.note


# Seeds, labels and rows -----------------------------------------------------------------------------------------------


def test_seeds_are_averaged_and_a_failed_one_is_named(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    condition = "import os\n        if os.environ.get('BAD_DAY'): raise ValueError('bad day')\n        "
    file = attack_file(tmp_path, condition + SIGN)
    run(grid(more="seed = [0, 2]"), file)
    monkeypatch.setenv("BAD_DAY", "yes")
    table = only(run(grid(more="seed = [0, 1, 2]"), file))
    assert "mean over seeds 0, 1, 2 with t intervals" in table.caption
    assert at(table, "none").note == ""
    cell = at(table, "own")
    assert (cell.value, cell.state) == (0.0, "")
    assert "without seed 1 (failed: " in cell.note
    assert "bad day" in cell.note


def test_a_number_of_fewer_seeds_than_the_others_says_so(run: Run) -> None:
    text = grid('["none", "sign"]', more="seed = [0, 1]") + grid('["none", "hum"]', more="seed = [0]")
    table = only(run(text))
    assert at(table, "sign").note == ""
    assert at(table, "hum").note == "seed 0 only"


def test_what_is_asked_for_and_not_computed_is_missing(run: Run, tmp_path: Path) -> None:
    done = run(grid('["none"]'))
    (tmp_path / "grid.toml").write_text(grid('["none", "sign"]'))
    write_request(done.plan(tmp_path / "grid.toml"), done.store)
    cell = at(only(done), "sign")
    assert (cell.state, cell.value) == ("missing", None)


def test_two_current_cells_of_equal_labels_stand_apart(run: Run) -> None:
    blocks = grid('["none", "sign"]', more="threads = 1") + grid('["none", "sign"]', more="threads = 2")
    tables = store_tables(run(blocks).store)
    assert [t.title for t in tables] == ["tiny-net on textures (threads=1)", "tiny-net on textures (threads=2)"]
    assert all(len(t.rows) == 2 for t in tables)


def test_cells_that_differ_in_how_they_stop_are_rows_of_their_own(run: Run) -> None:
    session = run(grid('["none", "steps"]') + grid('["none", "steps"]', more='stop = "success"'))
    table = only(session)
    assert table.rows == (("none", ""), ("steps", "stop=full"), ("steps", "stop=success"))


def test_a_name_that_means_something_else_in_another_grid_stands_apart(run: Run) -> None:
    for number, steps in enumerate((1, 4)):
        text = f'[define]\nmine = {{ name = "steps", steps = {steps} }}\n' + grid('["none", "@mine"]')
        session = run(text, name=f"grid{number}")
    assert only(session).rows == (("none", ""), ("mine", "steps=1"), ("mine", "steps=4"))


def test_tables_call_things_what_the_grid_calls_them(run: Run) -> None:
    text = '[define]\nvit = { name = "tiny-net", recipe = { epochs = 2 } }\n' + grid('["none", "sign"]', model='"@vit"')
    assert only(run(text)).title == "vit on textures"


def test_long_labels_are_spelled_out_below(run: Run) -> None:
    long = '{ name = "all-of", of = ["sign", { name = "steps", steps = 2, step_size = "eps/3" }] }'
    table = only(run(grid(f'["none", {long}]')))
    assert table.rows == (("none",), ("all-of #1",))
    assert any(note.startswith("all-of #1: all-of(of=") for note in table.notes)


def test_rows_and_columns_stand_in_the_order_a_reader_expects(run: Run) -> None:
    attacks = '["sign", { name = "steps", steps = [10, 2] }, "hum", "none"]'
    table = only(run(grid(attacks, eps='["linf:0.2", "linf:8/255"]')))
    assert table.columns == (("linf:8/255",), ("linf:0.2",))
    assert table.rows == (("none",), ("hum",), ("sign",), ("steps(steps=2)",), ("steps(steps=10)",))


def test_numbers_in_labels_sort_by_size() -> None:
    labels = ["a(steps=10)", "a(steps=2)", "a", "a(steps=2.5)"]
    assert sorted(labels, key=natural) == ["a", "a(steps=2)", "a(steps=2.5)", "a(steps=10)"]


@pytest.mark.long
def test_units_are_those_of_the_metric(run: Run) -> None:
    session = run(grid('["none", "sign"]'))
    assert [only(session, name).unit for name in ("accuracy", "auc", "mean_l2")] == [
        "percent",
        "fraction",
        "pixel range",
    ]


def test_cells_added_for_evidence_stand_in_no_table(run: Run, tmp_path: Path) -> None:
    session = run(grid('["none", "sign"]'))
    session.run(session.plan(tmp_path / "grid.toml", evidence=True))
    assert only(session).columns == (("linf:60/255",),)
    results = read_results(session.store)
    assert sum(n.first.evidence for n in results.numbers) >= 1
    assert len(tables_of(results)) == 1


@pytest.fixture(scope="module")
def tiny_net() -> Any:
    import importlib.util

    spec = importlib.util.spec_from_file_location("tiny_for_weights", TINY)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["tiny_for_weights"] = module
    spec.loader.exec_module(module)
    return module.TinyNet
