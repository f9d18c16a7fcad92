"""Probes: measured on the images a cell was judged by, kept once, and missed where they fail."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray
from torch import Tensor

from medrobust import Classifier, Probe
from medrobust.api import Outcome, Plan, Session, parse_grid
from medrobust.engine.steps import ProbeStep
from medrobust.plugins.probes import Examples

MakeSession = Callable[..., Session]

GRID = """
[define]
scans = { name = "textures", classes = 3 }
[[grid]]
dataset = "@scans"
model = "tiny-net"
budget = "linf:16/255"
"""

PROBES = '''
from dataclasses import dataclass
from typing import ClassVar
import numpy as np
from medrobust import Probe, hookimpl

@dataclass(frozen=True)
class Odd(Probe):
    """Breaks its contract."""
    name: ClassVar[str] = "odd"
    revision: ClassVar[int] = 1
    fault: str = ""

    def select(self, labels, count):
        return {"none": np.arange(0), "beyond": np.array([count]), "float": np.ones(2)}.get(self.fault, np.arange(2))

    def measure(self, classifier, images, adversarial):
        if self.fault == "raise":
            raise ValueError("no gradient of that layer")
        return {"short": np.zeros(1)} if self.fault == "short" else [1, 2]

@hookimpl
def medrobust_probes():
    return [Odd]
'''


@pytest.fixture
def made(session: MakeSession, tmp_path: Path) -> Session:
    (tmp_path / "probes.py").write_text(PROBES)
    return session(files=(tmp_path / "probes.py",))


def run(made: Session, more: str) -> tuple[Plan, Outcome]:
    planned = made.plan(parse_grid(tomllib.loads(GRID + more), made.registry))
    return planned, made.run(planned)


def kept(made: Session, planned: Plan) -> dict[str, dict[str, NDArray[Any]]]:
    """What was measured, by attack."""
    found = {}
    for key, (cell, _) in planned.probes.items():
        tensors = made.store.load_tensors(made.store.artifact(key))
        found[cell.axes()["attack"]] = {k: t.numpy() for k, t in tensors.items()}
    return found


def test_examples_are_the_images_that_the_cell_was_judged_by(made: Session) -> None:
    attacks = '["sign", { name = "steps", steps = [2, 4] }, { name = "halved", of = "sign" }, "one-for-all"]'
    planned, outcome = run(made, f'attack = {attacks}\nprobe = {{ name = "examples", per_class = 2 }}')
    assert outcome.complete, outcome.problems
    measured = kept(made, planned)
    assert len(measured) == 5
    records = {planned.cells[c].axes()["attack"]: r for c, r in made.store.records(list(planned.cells))}
    for attack, arrays in measured.items():
        positions = arrays["positions"]
        assert positions.tolist() == [0, 3, 1, 4, 2, 5]
        assert arrays["clean"].shape == (6, 1, 8, 8)
        moved = np.abs(arrays["adversarial"] - arrays["clean"]).max(axis=(1, 2, 3))
        np.testing.assert_allclose(moved, records[attack].linf[positions], atol=1e-6)


def test_the_examples_are_the_same_at_every_budget() -> None:
    labels = np.array([2, 0, 0, 2, 1, 0])
    assert Examples(per_class=2).select(labels, 6).tolist() == [1, 2, 4, 0, 3]
    assert Examples().select(None, 6).tolist() == [0]
    assert Examples(per_class=4).select(np.eye(3, dtype=np.int64), 3).tolist() == [0, 1, 2]


def test_what_is_there_is_not_measured_again(made: Session) -> None:
    more = 'attack = "sign"\nprobe = "examples"'
    run(made, more)
    planned = made.plan(parse_grid(tomllib.loads(GRID + more), made.registry))
    assert made.steps(planned) == []
    another = made.plan(parse_grid(tomllib.loads(GRID + more.replace("examples", "difference")), made.registry))
    (step,) = made.steps(another)
    assert isinstance(step, ProbeStep)
    assert step.describe().startswith("difference of sign linf:16/255")


def test_the_record_says_which_images_were_measured(made: Session) -> None:
    planned, _ = run(made, 'attack = "sign"\nprobe = "difference"')
    (row,) = made.store.rows("artifacts").to_dict("records")
    description = json.loads(row["description"])
    assert (row["kind"], description["probe"], description["attack"]) == ("probe", "difference", "sign")
    assert description["samples"] == [f"test-{i}" for i in range(24)]
    assert kept(made, planned)["sign"]["difference"].shape == (24, 1, 8, 8)


def test_what_a_probe_says_in_words_is_kept_beside_its_arrays(made: Session) -> None:
    _, outcome = run(made, 'attack = "sign"\nprobe = ["grad-cam", "examples"]')
    assert outcome.complete, outcome.problems
    facts = [json.loads(row)["facts"] for row in made.store.rows("artifacts")["description"]]
    assert sorted(facts, key=len) == [{}, {"layer": "convolution"}]


def test_a_probe_of_a_layer_that_there_is_not_lists_those_there_are(made: Session) -> None:
    _, outcome = run(made, 'attack = "sign"\nprobe = { name = "feature-maps", layer = "res3a_relu" }')
    ((_, _, told),) = outcome.problems
    assert "no layer 'res3a_relu'; layers with maps: middle, last, convolution" in told


def test_the_second_direction_of_a_loss_surface_is_the_gradient_of_a_surrogate(made: Session) -> None:
    grid = 'attack = "sign"\nsurrogate = { instance = "other" }\nprobe = ["examples", "loss-surface"]\n'
    planned, outcome = run(made, grid)
    assert outcome.complete, outcome.problems
    arrays = [
        made.store.load_tensors(made.store.artifact(cell.probe_id(probe))) for cell, probe in planned.probes.values()
    ]
    images = next(a["adversarial"] - a["clean"] for a in arrays if "clean" in a)
    loss = next(a["loss"] for a in arrays if "loss" in a)
    assert images.abs().max() == pytest.approx(16 / 255, abs=1e-6)
    # Each network's own direction is the steeper one, and neither is flat.
    assert (loss[:, -1, 0] >= loss[:, 0, -1]).all()
    assert (loss[:, 0, -1] != loss[:, 0, 0]).all()


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("none", "probe 'odd' selects no images"),
        ("beyond", "probe 'odd' selects images beyond the 24 there are"),
        ("float", "probe 'odd' selects no images: float64"),
        ("short", "probe 'odd' must return arrays by name, each with one entry for each of the 2 images"),
        ("list", "probe 'odd' must return arrays by name"),
        ("raise", "no gradient of that layer"),
    ],
)
def test_a_probe_that_breaks_its_contract_is_told_and_takes_no_cell_with_it(
    made: Session, fault: str, reason: str
) -> None:
    planned, outcome = run(made, f'attack = "sign"\nprobe = {{ name = "odd", fault = "{fault}" }}')
    assert len(dict(made.store.records(list(planned.cells)))) == 2
    ((_, status, told),) = outcome.problems
    assert not outcome.complete
    assert status == "failed"
    assert reason in told


def test_images_without_labels_can_be_looked_at(made: Session) -> None:
    more = 'attack = "one-for-all"\ngoal = "predicted"\nprobe = "examples"\n'
    planned, outcome = run(
        made, more + 'evaluate_on = { dataset = { name = "textures", labelled = false, classes = 3 } }'
    )
    assert outcome.complete, outcome.problems
    assert kept(made, planned)["one-for-all"]["positions"].tolist() == [0]


def test_labels_of_another_data_set_are_no_labels_here(made: Session) -> None:
    more = 'attack = "none"\nevaluate_on = { dataset = { name = "textures", classes = 4 } }'
    planned, outcome = run(made, more)
    assert outcome.complete, outcome.problems
    ((_, record),) = made.store.records(list(planned.cells))
    assert record.labels is None
    assert set(made.store.rows("parts")["class"]) == {"a", "b", "c", "d"}


@dataclass(frozen=True)
class Everything(Probe):
    """Leaves the choice of images to the base class."""

    name: ClassVar[str] = "everything"

    def measure(self, classifier: Classifier, images: Tensor, adversarial: Tensor) -> dict[str, NDArray[Any]]:
        return {}


def test_a_probe_looks_at_every_image_unless_it_says_otherwise() -> None:
    assert Everything().select(None, 3).tolist() == [0, 1, 2]
