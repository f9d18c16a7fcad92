"""docs/plugins.md: every example runs as written, there is one of each kind, and nothing an author needs is missing."""

from __future__ import annotations

import csv
import dataclasses
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from medrobust import AnyAttack, Model, Recipe, SampleRNG
from medrobust.api import Session
from medrobust.plugins import hookspecs

Examples = Callable[[str], Sequence[Any]]
DOCUMENT = "docs/plugins.md"
CONTRACTS = (
    *("Attack", "IterativeAttack", "UniversalAttack", "DerivedAttack"),
    *("Dataset", "Model", "Preprocessing", "RandomPreprocessing", "TrainingDefense", "Probe"),
    *("Detector", "DetectorAttack"),
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the images that the data set of the document reads."""
    folder = tmp_path_factory.mktemp("plugins")
    _write_ward(folder / "ward")
    return folder


def _write_ward(folder: Path) -> None:
    """Small grey images, two of each patient; those with an effusion are brighter below."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    with (folder / "labels.csv").open("w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["file", "patient", "split", "label"])
        for number, split in enumerate(["train"] * 24 + ["val"] * 8 + ["test"] * 8):
            ill = number % 4 < 2
            pixels = rng.integers(60, 120, (20, 20), dtype=np.uint8)
            pixels[10:] += 80 * ill
            Image.fromarray(pixels).save(folder / f"{number}.png")
            table.writerow([f"{number}.png", f"p{number // 2}", split, "effusion" if ill else "normal"])


def grid_with(base: str, lines: str) -> str:
    """The document's grid, in which these lines replace those of the same key."""
    keys = set(re.findall(r"^(\w+)\s*=", lines, re.MULTILINE))
    define, _, table = base.partition("[[grid]]\n")
    kept = [line for line in table.splitlines() if line.partition("=")[0].strip() not in keys]
    return f"{define}[[grid]]\n" + "\n".join(kept) + f"\n{lines}"


def test_an_example_runs(example: Any, place: Path) -> None:
    file = place / example.file
    file.write_text(example.code)
    session = Session(place / "store", (file,), data_root=place, device="cpu", workers=1, strict=True)
    offered = [each.name for each in session.registry.offers() if each.distribution == file.stem]
    written = [f'{name}"' for name in offered] + [f"{each.prefix}:" for each in session.registry.libraries()]
    assert offered
    for number, lines in enumerate(example.grids):
        assert any(f'"{name}' in lines for name in written)
        grid = place / f"{file.stem}{number}.toml"
        grid.write_text(grid_with(example.base, lines))
        plan = session.plan(grid)
        outcome = session.run(plan)
        assert outcome.problems == ()
        assert outcome.impossible == ()
        assert outcome.excluded == 0
        assert len(plan.cells) > 1
        assert outcome.made + outcome.cached == len(plan.cells)


def test_an_attack_in_steps_runs_once_for_all_its_values(examples: Examples, place: Path) -> None:
    (steps,) = (each for each in examples(DOCUMENT) if each.file == "sign_steps.py")
    file, grid = place / steps.file, place / "steps.toml"
    file.write_text(steps.code)
    grid.write_text(grid_with(steps.base, steps.grids[0]))
    session = Session(place / "steps", (file,), device="cpu", workers=1)
    plan = session.plan(grid)
    attacked = [step for step in session.steps(plan) if step.kind == "craft" and "sign-steps" in step.describe()]
    assert [len(step.cells) for step in attacked] == [3]


def test_the_commands_example_adds_a_command(examples: Examples, place: Path) -> None:
    (commands,) = (each for each in examples(DOCUMENT) if each.file == "my_commands.py")
    assert commands.grids == ()
    namespace: dict[str, Any] = {}
    exec(commands.code, namespace)
    app = typer.Typer()
    app.callback()(lambda: None)
    namespace["add_commands"](app)
    session = Session(place / "store", device="cpu", workers=1)
    done = CliRunner().invoke(app, ["count", str(place / "store")])
    assert done.exit_code == 0, done.output
    assert done.output == f"{len(session.store.cells())}\n"


def test_there_is_an_example_of_each_kind(examples: Examples) -> None:
    code = "\n".join(each.code for each in examples(DOCUMENT))
    bases = set(re.findall(r"^class \w+\((\w+)\)", code, re.MULTILINE))
    assert set(CONTRACTS) <= bases


def test_every_example_has_a_name_of_its_own(examples: Examples) -> None:
    files = [each.file for each in examples(DOCUMENT)]
    assert all(files)
    assert len(set(files)) == len(files)


@pytest.mark.parametrize(
    ("names", "form"),
    [
        (sorted(name for name in vars(SampleRNG) if not name.startswith("_")), r"\b{}\("),
        ([field.name for field in dataclasses.fields(Recipe)], "`{}`"),
        ([field.name for field in dataclasses.fields(Model)], "`{}`"),
        (["revision", "libraries", "batch_size", "global_rng", "sees_result", "stochastic"], "`{}: ClassVar"),
        (sorted(name for name in vars(hookspecs) if name.startswith("medrobust_")), "`{}`"),
    ],
    ids=["SampleRNG", "Recipe", "Model", "declarations", "hooks"],
)
def test_nothing_an_author_needs_is_left_out(names: list[str], form: str, root: Path) -> None:
    text = (root / DOCUMENT).read_text(encoding="utf-8")
    assert names
    missing = [name for name in names if not re.search(form.format(re.escape(name)), text)]
    assert missing == []


def test_the_declarations_exist() -> None:
    declared = {"batch_size", "global_rng", "revision", "libraries"}
    assert declared <= {name for cls in AnyAttack.__mro__ for name in vars(cls)}
