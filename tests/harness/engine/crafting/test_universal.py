"""Universal perturbations: fitted once, kept, added to whatever asks for them, and refused where they are none."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from medrobust.api import Outcome, Plan, Record, Session, parse_grid
from medrobust.engine.crafting.images import crafting_order
from medrobust.engine.crafting.universal import load_perturbation
from medrobust.engine.data import load_part
from medrobust.engine.steps import UniversalStep
from medrobust.grid.identity import REVISIONS

pytestmark = pytest.mark.numerical

MakeSession = Callable[..., Session]

GRID = """
[define]
colourful = { name = "shades", colour = true }
unlabelled = { name = "shades", labelled = false }
[[grid]]
dataset = "shades"
model = "plain"
budget = "linf:40/255"
"""


@pytest.fixture
def made(session: MakeSession, unusual_models: Path) -> Session:
    return session(files=(unusual_models,))


def plan(made: Session, more: str) -> Plan:
    return made.plan(parse_grid(tomllib.loads(GRID + more), made.registry))


def run(made: Session, more: str) -> tuple[Plan, Outcome, dict[str, Record]]:
    planned = plan(made, more)
    outcome = made.run(planned)
    return planned, outcome, dict(made.store.records(list(planned.cells)))


def fits(made: Session, more: str) -> int:
    """Perturbations that a plan would still fit."""
    return sum(isinstance(s, UniversalStep) for s in made.steps(plan(made, more)))


def attacked(planned: Plan, records: dict[str, Record]) -> dict[str, Record]:
    return {planned.cells[c].axes()["attack"]: r for c, r in records.items() if planned.cells[c].attack}


def test_adding_a_perturbation_takes_no_pass_beside_the_verdict(made: Session) -> None:
    more = 'attack = ["growing", "sign"]\ngoal = "predicted"\n'
    _, outcome, records = run(made, more)
    assert outcome.complete, outcome.problems
    rows = made.store.cells(["attack", "forward_passes"]).query("attack != 'none'").set_index("attack")
    assert rows.loc["growing", "forward_passes"] == 0
    # An attack on single images has to know what the model predicts for them.
    assert rows.loc["sign", "forward_passes"] >= 2 * max(len(record.ids) for record in records.values())


def test_a_perturbation_is_added_to_every_image_of_any_slice_without_another_fit(made: Session) -> None:
    more = 'attack = ["growing", { name = "halved", of = "sign" }]\n'
    assert fits(made, more) == 1
    first, outcome, records = run(made, more)
    assert outcome.complete, outcome.problems
    assert fits(made, more) == 0
    kept = made.store.rows("artifacts")
    assert len(kept) == 1
    elsewhere = more + 'evaluate_on = ["val", "train[:50%]"]'
    assert fits(made, elsewhere) == 0
    _, again, others = run(made, elsewhere)
    assert again.complete
    assert len(others) == 2 * 3
    assert len(made.store.rows("artifacts")) == 1
    (cell,) = (c for c in first.cells.values() if c.attack and c.attack.name == "growing")
    perturbation = load_perturbation(cell.perturbation_id, made.store, "cpu")
    assert perturbation.shape == (1, 8, 8)
    assert float(perturbation.abs().max()) == pytest.approx(20 / 255)
    np.testing.assert_allclose(records[cell.id].linf, float(perturbation.abs().max()), atol=1e-6)
    # Measured over six seeds and two instruction sets: some logit moves by 0.38 to 1.77.
    assert np.abs(records[cell.id].adversarial - records[cell.id].clean).max() > 0.1
    description = json.loads(kept.iloc[0]["description"])
    assert (description["attack"], description["norm"]) == ("growing", "linf")
    assert description["eps"] == pytest.approx(40 / 255)
    assert description["size"] == pytest.approx(20 / 255)


@pytest.mark.long
def test_chunks_of_one_run_are_those_of_their_own(session: MakeSession, unusual_models: Path, tmp_path: Path) -> None:
    swept = session(tmp_path / "swept", files=(unusual_models,))
    more = 'attack = { name = "growing", chunks = [1, 2, 5] }'
    assert fits(swept, more) == 1
    planned, outcome, records = run(swept, more)
    assert outcome.complete
    sizes = {}
    for name, record in attacked(planned, records).items():
        sizes[name] = float(record.linf.max())
        alone = session(tmp_path / name, files=(unusual_models,))
        other = run(alone, f'attack = {{ name = "growing", chunks = {name[-2] if "=" in name else 1} }}')
        np.testing.assert_array_equal(attacked(other[0], other[2])[name].adversarial, record.adversarial)
    assert len(swept.store.rows("artifacts")) == 3
    assert len({r.adversarial.tobytes() for r in records.values()}) == 4
    # More chunks later fit again from the start, and leave what is there.
    assert fits(swept, 'attack = { name = "growing", chunks = [2, 5] }') == 0
    assert fits(swept, 'attack = { name = "growing", chunks = [2, 6] }') == 1


CAREFUL = '''
from dataclasses import dataclass
from typing import ClassVar
import torch
from medrobust import SampleRNG, ThreatModel, UniversalAttack

@dataclass(frozen=True)
class Careful(UniversalAttack):
    """Refuses images, labels and streams that do not belong together; its perturbation says what came first."""
    name: ClassVar[str] = "careful"
    revision: ClassVar[int] = 1
    threat: ClassVar[ThreatModel] = ThreatModel(norms={"linf"})

    def fit(self, classifier, images, goal, budget, rng):
        assert len(images) == len(goal) == len(rng)
        decided = classifier.logits(images[:]).argmax(1)
        assert torch.equal(decided, goal.labels)
        names = [f"train-{i}" for i in range(len(images))]
        draws = {float(SampleRNG.for_ids(0, [n]).uniform((1,))): n for n in names}
        order = [names.index(draws[float(u)]) for u in rng.uniform((1,))]
        assert sorted(order) == list(range(len(images))) and order != sorted(order)
        return torch.full(images.shape[1:], order[0] / 1000)
'''


def test_images_goal_and_streams_come_in_one_seeded_order(
    session: MakeSession, unusual_models: Path, tmp_path: Path
) -> None:
    (tmp_path / "careful.py").write_text(CAREFUL)
    made = session(files=(unusual_models, tmp_path / "careful.py"))
    planned, outcome, _ = run(made, 'attack = "careful"\ngoal = "predicted"')
    assert outcome.complete, outcome.problems
    (cell,) = (c for c in planned.cells.values() if c.attack)
    assert cell.craft_on is not None
    part = load_part(cell.craft_on, made.context)
    first = crafting_order(0, part.data.ids)[0]
    perturbation = load_perturbation(cell.perturbation_id, made.store, "cpu")
    assert float(perturbation.max()) == pytest.approx(first / 1000)
    assert part.data.ids[first] == f"train-{first}"


def test_the_order_of_crafting_images_is_part_of_identity(made: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    def cells() -> dict[str, str]:
        planned = plan(made, 'attack = ["sign", "growing"]')
        return {str(c.attack and c.attack.name): c.id for c in planned.cells.values()}

    before = cells()
    monkeypatch.setitem(REVISIONS, "universal", REVISIONS["universal"] + 1)
    after = cells()
    assert {name for name in before if before[name] != after[name]} == {"growing"}


def test_images_of_another_data_set_are_converted_to_the_model(made: Session) -> None:
    planned, outcome, records = run(made, 'attack = "growing"\ncraft_on = ["train", "@colourful", "@unlabelled"]')
    assert outcome.complete, outcome.problems
    perturbations = [
        load_perturbation(c.perturbation_id, made.store, "cpu") for c in planned.cells.values() if c.attack
    ]
    assert [tuple(p.shape) for p in perturbations] == [(1, 8, 8)] * 3
    assert not torch.equal(perturbations[0], perturbations[1])
    # Predictions stand in for labels, and this model knows its training images.
    assert torch.equal(perturbations[0], perturbations[2])
    assert len(records) == 4


NARROW = '''
from dataclasses import dataclass
from typing import ClassVar
import numpy as np
from medrobust import DataInfo, Dataset, ImageData

@dataclass(frozen=True)
class Narrow(Dataset):
    """Two channels, and a single split."""
    name: ClassVar[str] = "narrow"
    revision: ClassVar[int] = 1
    licence: ClassVar[str] = "CC0"
    split: str = "train"

    def describe(self, source):
        return DataInfo(("a", "b"), (8, 8), 2, splits=(self.split,))

    def load(self, split, source):
        return ImageData(np.zeros((4, 8, 8, 2), np.uint8), np.arange(4) % 2, np.array(list("abcd")), None)
'''


def test_crafting_images_that_cannot_be_converted_are_named(
    session: MakeSession, unusual_models: Path, tmp_path: Path
) -> None:
    (tmp_path / "narrow.py").write_text(NARROW)
    made = session(files=(unusual_models, tmp_path / "narrow.py"))
    _, outcome, _ = run(made, 'attack = "growing"\ncraft_on = { dataset = "narrow" }')
    ((_, status, told),) = outcome.problems
    assert status == "failed"
    assert "images of 2 channels cannot be converted to 1; only grey (1) and RGB (3) can" in told


def test_zeta_without_training_images_is_impossible_and_says_why(
    session: MakeSession, unusual_models: Path, tmp_path: Path
) -> None:
    (tmp_path / "narrow.py").write_text(NARROW)
    made = session(files=(unusual_models, tmp_path / "narrow.py"))
    grid = GRID.replace('dataset = "shades"', 'dataset = { name = "narrow", split = "test" }').replace(
        "linf:40/255", "l2:zeta=4%"
    )
    planned = made.plan(parse_grid(tomllib.loads(grid + 'attack = "halved"'), made.registry))
    assert {e.impossible for e in planned.entries} == {
        "data set 'narrow(split=test)' has no split 'train'; it has test"
    }


def test_another_size_of_target_gets_a_perturbation_of_its_own(made: Session) -> None:
    _, outcome, _ = run(made, 'attack = "growing"\nsurrogate = [{}, { instance = "other" }]')
    assert outcome.complete
    assert len(made.store.rows("artifacts")) == 2


def test_a_perturbation_of_zero_is_a_result(made: Session) -> None:
    planned, outcome, records = run(made, 'attack = { name = "stray", fault = "zero" }')
    assert outcome.complete
    (record,) = attacked(planned, records).values()
    assert not record.linf.any()
    assert np.array_equal(record.adversarial, record.clean)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("budget", "the perturbation leaves the budget: linf up to 0.158431, allowed 0.156863"),
        ("shape", r"returned shape \(1, 1, 8, 8\)"),
        ("nan", "NaN or infinite"),
    ],
)
def test_what_is_no_perturbation_is_refused(made: Session, fault: str, reason: str) -> None:
    _, outcome, records = run(made, f'attack = ["sign", {{ name = "stray", fault = "{fault}" }}]')
    ((_, status, told),) = outcome.problems
    assert status == "failed"
    with pytest.raises(AssertionError, match=reason):
        raise AssertionError(told)
    assert len(records) == 2
    assert made.store.rows("artifacts").empty


def test_the_budget_is_measured_in_its_own_norm(made: Session) -> None:
    text = GRID.replace("linf:40/255", "l2:1.5")
    planned = made.plan(parse_grid(tomllib.loads(text + 'attack = "stray"'), made.registry))
    ((_, _, reason),) = made.run(planned).problems
    # 1.515 in each of 64 pixels.
    assert "l2 up to 12.12, allowed 1.5" in reason


def test_an_attack_that_ends_before_the_last_chunk_is_named(made: Session) -> None:
    planned, outcome, records = run(made, 'attack = { name = "growing", chunks = [1, 3], delivers = 2 }')
    assert {r for _, _, r in outcome.problems} == {"attack 'growing' ended before iteration 3"}
    assert attacked(planned, records) == {}
    # What it had delivered until then is kept, and serves.
    _, later, _ = run(made, 'attack = { name = "growing", chunks = 1, delivers = 2 }')
    assert later.complete
