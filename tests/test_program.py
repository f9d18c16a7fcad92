"""The whole program: what the command line promises to a newcomer, a third party and an author."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import medrobust
from medrobust.api import Registry, Session, Store

Program = Callable[..., Any]
TESTS = Path(__file__).parent
CORE = Path(medrobust.__file__).parents[1]
GRID = """
[[grid]]
dataset = "textures"
model = "tiny-net"
attack = ["sign", { name = "steps", steps = [1, 4] }, "slow"]
budget = ["linf:4/255", "linf:30/255"]
seed = [0, 1]
"""
OWN = '''
from dataclasses import dataclass
from typing import ClassVar

from medrobust import Attack, ThreatModel


@dataclass(frozen=True)
class Darken(Attack):
    """Every pixel as dark as the budget allows."""

    name: ClassVar[str] = "darken"
    threat: ClassVar[ThreatModel] = ThreatModel(norms={"linf"}, knowledge="none")

    def perturb(self, classifier, images, goal, budget, rng):
        return (images - budget.eps).clamp(0, 1)
'''


def test_a_third_partys_attack_in_one_file_gets_its_verdict(program: Program, tmp_path: Path) -> None:
    assert len([line for line in OWN.splitlines() if line.strip()]) <= 15
    own = tmp_path / "darken.py"
    own.write_text(OWN)
    (tmp_path / "grid.toml").write_text(GRID.replace('"slow"', '"darken"').replace("[0, 1]", "0"))
    plugins = (TESTS / "tiny.py", own)
    done = program("run", "grid.toml", plugins=plugins)
    assert done.status == 0
    store = Store(tmp_path / "medrobust-store")
    cells = store.cells()
    mine = cells[cells["attack"] == "darken"]
    assert mine["status"].tolist() == ["ok", "ok"]
    for cell, record in store.records(list(mine.index)):
        assert record.linf.max() == pytest.approx(cells.loc[cell, "eps"], abs=1e-6)
        assert np.isfinite(record.adversarial).all()
    # Beyond the budget: the same file, one line changed. It has no revision, so the edit makes new cells.
    own.write_text(OWN.replace("- budget.eps", "- 1.1 * budget.eps"))
    cheated = program("run", "grid.toml", plugins=plugins)
    assert cheated.status == 1
    assert "24 of 24 images leave the budget" in cheated.err
    assert store.cells()["status"].value_counts().to_dict() == {"ok": 9, "invalid": 2}
    assert "darken" in program("plugins", "darken:darken", plugins=plugins).out


def test_plugins_lists_every_offer_with_origin_parameters_defaults_and_citation(program: Program) -> None:
    facts = json.loads(program("plugins", "--json").out)
    registry = Registry.discover([TESTS / "tiny.py", TESTS / "misbehaving.py"])
    assert {(f["kind"], f"{f['distribution']}:{f['name']}") for f in facts} == {
        (o.kind, o.qualified) for o in registry.offers()
    }
    steps = next(f for f in facts if f["name"] == "steps")
    assert (steps["kind"], steps["distribution"], steps["version"]) == ("attack", "tiny", "local file")
    assert steps["parameters"] == {"steps": 4, "step_size": "eps:1/4"}
    assert steps["documentation"].startswith("Several signed steps from a random point.")
    textures = next(f for f in facts if f["name"] == "textures")
    assert textures["references"][0]["title"] == "Textures from nowhere"
    assert textures["licence"] == "CC0"


@pytest.mark.long
def test_why_names_the_field_that_differs(program: Program, tmp_path: Path) -> None:
    text = GRID.replace('"slow"', '"hum"').replace("[0, 1]", "0")
    (tmp_path / "old.toml").write_text(text)
    assert program("run", "old.toml").status == 0
    recipe = "{ epochs = 3, learning_rate = 0.05, batch_size = 16 }"
    (tmp_path / "new.toml").write_text(text.replace('"tiny-net"', f'{{ name = "tiny-net", recipe = {recipe} }}'))
    planned = json.loads(program("plan", "new.toml", "--json").out)
    missing = next(c["cell"] for c in planned["cells"] if c["state"] == "missing" and c["attack"] == "sign")
    shown = program("why", missing[:12], "--grid", "new.toml")
    assert shown.status == 0
    lines = shown.out.splitlines()
    assert lines[0].startswith(f"{missing}: not in the store: sign linf:4/255")
    assert lines[1].startswith("The nearest cell in the store is ")
    assert lines[2:] == ["  target.model.recipe.epochs: 4 there, 3 here"]
    stored = Store(tmp_path / "medrobust-store").cells().index[0]
    known = program("why", stored)
    assert known.out.startswith(f"{stored}: ok\n")
    assert "target.model.recipe.epochs = 4" in known.out


def test_plan_tells_what_is_cached_missing_excluded_and_impossible(program: Program, tmp_path: Path) -> None:
    (tmp_path / "grid.toml").write_text(
        '[[grid]]\ndataset = ["textures", "ward"]\nmodel = "tiny-net"\nattack = ["hum", "sign"]\n'
        'budget = ["linf:4/255", "l2:1"]\n'
    )
    before = json.loads(program("plan", "grid.toml", "--json").out)
    states = pd.Series([c["state"] for c in before["cells"]]).value_counts().to_dict()
    assert states == {"missing": 4, "excluded": 1, "impossible": 4}
    assert before["steps"] == 5
    assert program("run", "grid.toml").status == 1
    after = json.loads(program("plan", "grid.toml", "--json").out)
    states = pd.Series([c["state"] for c in after["cells"]]).value_counts().to_dict()
    assert states == {"cached": 4, "excluded": 1, "impossible": 4}
    shown = program("plan", "grid.toml").out
    assert "Excluded (1): attack 'sign' supports the norms linf, not l2" in shown
    assert "Impossible here (4): the ward's images is not at " in shown
    assert "If these were available, the plan would also have 1 model to train, 4 attacks, 4 cells" in shown


@pytest.fixture(scope="session")
def bare(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """The core alone: a copy of `harness` beside the installed libraries, the plugin folders gone.

    Python runs without its site module, so that the editable installation's paths are not there either; the entry
    points of medrobust stay and lead nowhere, as they would if somebody deleted the folders.
    """
    folder = tmp_path_factory.mktemp("bare")
    shutil.copytree(CORE / "medrobust", folder / "harness" / "medrobust", ignore=shutil.ignore_patterns("__pycache__"))
    libraries = str(Path(np.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder / "harness"), libraries])}
    return folder, environment


@pytest.mark.long
def test_the_core_runs_and_its_tests_pass_with_the_plugin_folders_gone(
    bare: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    folder, environment = bare
    (folder / "grid.toml").write_text(
        '[[grid]]\ndataset = "textures"\nmodel = "tiny-net"\nattack = "sign"\nbudget = "linf:8/255"\n'
    )
    # What needs real networks or attacks is tested with the bundled ones, and is not the core's own.
    engine = [f"engine/{name}.py" for name in ("test_data", "test_planner", "test_session", "models/test_training")]
    grid = [f"grid/test_{name}.py" for name in ("expansion", "reader", "slices")]
    results = [f"results/test_{name}.py" for name in ("store", "verdict")]
    plugins = [f"plugins/test_{name}.py" for name in ("registry", "specs")]
    tests = [str(TESTS / "harness" / room) for room in ("contracts", *plugins, *grid, *engine, *results)]
    program = f"""
import importlib.util, sys
gone = ["medrobust_datasets", "medrobust_models", "medrobust_attacks", "medrobust_defenses", "medrobust_leaderboard"]
assert not [name for name in gone if importlib.util.find_spec(name)]
import medrobust
assert medrobust.__file__.startswith({str(folder)!r}), medrobust.__file__
from pathlib import Path
from medrobust.api import Registry, Session
faults = {{f.distribution for f in Registry.discover().faults}}
assert faults == {{"medrobust"}}, faults
session = Session(Path({str(tmp_path / "store")!r}), (Path({str(TESTS / "tiny.py")!r}),), device="cpu", workers=1)
outcome = session.run(session.plan(Path("grid.toml")))
assert outcome.complete and outcome.made == 2, outcome
import pytest
# The plugin of this project for pytest is imported already, which pytest would warn of.
options = ["-q", "-n", "0", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning"]
raise SystemExit(pytest.main([*options, *{tests!r}]))
"""
    done = subprocess.run(
        [sys.executable, "-S", "-c", program],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert " passed" in done.stdout


def test_the_command_says_what_it_did_and_what_to_do_next(program: Program, tmp_path: Path) -> None:
    (tmp_path / "grid.toml").write_text(GRID.replace('"slow"', '"hum"'))
    done = program("run", "grid.toml", "--images", 6, "--store", "kept")
    assert done.status == 0
    assert "18 cells: 0 already in the store, 18 computed in " in done.out
    assert f"Records: {tmp_path}/kept" in done.out
    files = f"--plugin {TESTS / 'tiny.py'} --plugin {TESTS / 'misbehaving.py'}"
    assert f"Next: medrobust leaderboard kept {files}\n" in done.out
    assert {len(r) for _, r in Store(tmp_path / "kept").records(list(Store(tmp_path / "kept").cells().index))} == {6}


HELPED = OWN.replace("from medrobust import", "from darkening import amount\nfrom medrobust import").replace(
    "images - budget.eps", "images - amount(budget.eps)"
)
HELPER = "def amount(eps):\n    return eps\n"


@pytest.fixture
def helped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A plugin file with a helper beside it and a neighbour that it does not use."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "darken_file.py").write_text(HELPED)
    (folder / "darkening.py").write_text(HELPER)
    (folder / "unrelated.py").write_text("x = 1\n")
    yield folder / "darken_file.py"
    sys.modules.pop("darkening", None)


def test_an_edit_of_a_helper_is_computed_and_of_a_stranger_not(program: Program, helped: Path, tmp_path: Path) -> None:
    (tmp_path / "grid.toml").write_text(
        '[[grid]]\ndataset = "textures"\nmodel = "tiny-net"\nattack = "darken"\nbudget = "linf:60/255"\n'
    )

    def run() -> tuple[str, float]:
        told = program("run", "grid.toml", plugins=(TESTS / "tiny.py", helped)).out
        frame = Store(tmp_path / "medrobust-store").cells(["attack", "created"])
        latest = frame[frame["attack"] == "darken"].sort_values("created").index[-1]
        ((_, record),) = Store(tmp_path / "medrobust-store").records([latest])
        return told, float(record.linf.max())

    told, first = run()
    assert "2 cells: 0 already in the store, 2 computed" in told
    (helped.parent / "unrelated.py").write_text("x = 2000\n")
    (helped.parent / "darkening.py").write_text(f"# In pixels.\n{HELPER}")
    told, _ = run()
    assert "2 cells: 2 already in the store, 0 computed" in told
    (helped.parent / "darkening.py").write_text(HELPER.replace("return eps", "return eps / 2"))
    told, second = run()
    assert "2 cells: 1 already in the store, 1 computed" in told
    assert second == pytest.approx(first / 2, abs=1e-6)


@pytest.mark.long
def test_worker_processes_find_what_lies_beside_a_plugin_file(helped: Path, tmp_path: Path) -> None:
    session = Session(tmp_path / "store", (TESTS / "tiny.py", helped), device="cpu", workers=2)
    grid = '[[grid]]\ndataset = "textures"\nmodel = "tiny-net"\nattack = "darken"\nbudget = "linf:1/255"\nseed = [0, 1]'
    (tmp_path / "grid.toml").write_text(grid)
    outcome = session.run(session.plan(tmp_path / "grid.toml"))
    assert outcome.complete, outcome.problems


def test_a_name_that_several_distributions_offer_is_told_and_kept_apart(program: Program, tmp_path: Path) -> None:
    file = tmp_path / "clash.py"
    file.write_text(OWN.replace('"darken"', '"none"').replace("Darken", "Nothing"))
    (tmp_path / "grid.toml").write_text(
        '[[grid]]\ndataset = "textures"\nmodel = "tiny-net"\nattack = ["none", "clash:none"]\nbudget = "linf:60/255"\n'
    )
    ended = program("plan", "grid.toml", "--json", plugins=(TESTS / "tiny.py", file))
    assert [c["attack"] for c in json.loads(ended.out)["cells"]] == ["none", "clash:none"]
    assert "'none' alone means the attack that comes with medrobust. Write 'clash:none' in grids" in ended.err


FAULTY = '''
from dataclasses import dataclass
from typing import ClassVar

import torch
from medrobust import Attack, ThreatModel


@dataclass(frozen=True)
class Faulty(Attack):
    """Multiplies what cannot be multiplied."""

    name: ClassVar[str] = "faulty"
    revision: ClassVar[int] = 1
    threat: ClassVar[ThreatModel] = ThreatModel(norms={"linf"})

    def perturb(self, classifier, images, goal, budget, rng):
        return torch.nn.functional.linear(images, torch.ones(3, 3))
'''


@pytest.fixture
def faulty(tmp_path: Path) -> tuple[Path, ...]:
    """An attack that fails within torch, and a grid with two cells of it beside one that works."""
    (tmp_path / "faulty.py").write_text(FAULTY)
    (tmp_path / "grid.toml").write_text(
        '[[grid]]\ndataset = "textures"\nmodel = "tiny-net"\nattack = ["faulty", "hum"]\nseed = [0, 1]\n'
        'budget = "linf:4/255"\n'
    )
    return TESTS / "tiny.py", tmp_path / "faulty.py"


def test_a_failure_is_told_once_with_the_plugins_own_line(program: Program, faulty: tuple[Path, ...]) -> None:
    done = program("run", "grid.toml", plugins=faulty)
    assert done.status == 1
    shown = done.out + done.err
    line = 1 + FAULTY.splitlines().index("        return torch.nn.functional.linear(images, torch.ones(3, 3))")
    assert shown.count("raised RuntimeError") == 1
    (told,) = [row for row in done.err.splitlines() if "raised" in row]
    assert told.startswith("failed (2 cells: ")
    assert told.endswith(f"at faulty.py:{line}")
    assert " and 1 other raised RuntimeError" in told
    assert told.count("faulty") == 2, "the attack once, its file once"
    assert "6 cells: 0 already in the store, 4 computed in" in done.out
    assert " s, 2 failed." in done.out
    assert "Traceback" not in shown


def test_debug_shows_tracebacks_of_plugins_and_of_mistakes(program: Program, faulty: tuple[Path, ...]) -> None:
    done = program("run", "grid.toml", "--debug", plugins=faulty)
    assert done.status == 1
    assert done.err.count("Traceback (most recent call last)") == 2
    assert "return torch.nn.functional.linear(images, torch.ones(3, 3))" in done.err
    assert done.err.count("at faulty.py:") == 1
    mistaken = program("plan", "absent.toml", "--debug")
    assert "Traceback" in mistaken.err
    assert "error: absent.toml: cannot be read" in mistaken.err
    assert "Traceback" not in program("plan", "absent.toml").err


@pytest.mark.long
def test_debug_reaches_the_worker_processes(faulty: tuple[Path, ...], tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "medrobust.cli",
        "run",
        "grid.toml",
        "--workers",
        "2",
        "--device",
        "cpu",
        "--debug",
        "--no-evidence",
    ]
    files = [word for file in faulty for word in ("--plugin", str(file))]
    done = subprocess.run([*command, *files], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.count("Traceback (most recent call last)") == 2, done.stderr
    assert "linear(images, torch.ones(3, 3))" in done.stderr


def test_next_keeps_the_options_that_were_given(program: Program, tmp_path: Path) -> None:
    (tmp_path / "grid.toml").write_text(GRID.replace('"slow"', '"hum"') + "[profile.small.define]\n")
    (tmp_path / "my data").mkdir()
    given = [
        "--images",
        6,
        "--store",
        "kept",
        "--profile",
        "small",
        "--precision",
        "bfloat16",
        "--data-root",
        "my data",
    ]
    planned = program("plan", "grid.toml", *given)
    (line,) = [row for row in planned.out.splitlines() if row.startswith("Next: ")]
    files = f"--plugin {TESTS / 'tiny.py'} --plugin {TESTS / 'misbehaving.py'}"
    options = "--store kept --profile small --images 6 --precision bfloat16"
    assert line == f"Next: medrobust run grid.toml {options} {files} --data-root 'my data'"
    # What it says can be run as it stands, and leaves nothing to do.
    assert program(*shlex.split(line)[2:], plugins=()).status == 0
    assert {c["state"] for c in json.loads(program("plan", "grid.toml", *given, "--json").out)["cells"]} == {"cached"}


@pytest.mark.long
def test_precision_is_an_option_and_part_of_what_a_cell_is(program: Program, tmp_path: Path) -> None:
    text = '[[grid]]\ndataset = "textures"\nmodel = "tiny-net"\nattack = "sign"\nbudget = "linf:4/255"\n'
    (tmp_path / "grid.toml").write_text(text)
    for precision, made in (("float32", 2), ("bfloat16", 1)):
        done = program("run", "grid.toml", "--precision", precision)
        assert done.status == 0
        assert f"{made} computed in" in done.out
    cells = Store(tmp_path / "medrobust-store").cells()
    assert sorted(cells["precision"]) == ["", "bfloat16", "float32"]
    assert "0 already in the store, 0 computed" not in program("run", "grid.toml").out
    assert program("run", "grid.toml", "--precision", "float16").status == 2
    assert "needs stop = 'success'" in program("run", "grid.toml", "--precision", "mixed").err


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["plugins", "--help"], ["nonsense"]])
def test_what_computes_nothing_does_not_wait_for_torch(arguments: list[str]) -> None:
    program = f"""
import sys
sys.argv = ["medrobust", *{arguments!r}]
from medrobust.cli import main
try:
    main()
except SystemExit:
    slow = {{"torch", "pandas", "pyarrow", "numpy", "scipy", "matplotlib"}} & set(sys.modules)
    assert not slow, slow
    print("done")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout.endswith("done\n"), done.stdout + done.stderr
