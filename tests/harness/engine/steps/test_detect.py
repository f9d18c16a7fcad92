"""Detection: every attack is crafted once, detectors learn from one half of the images and are scored on the other."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from medrobust.api import Outcome, Plan, Record, Session, measure, parse_grid
from medrobust.engine.context import RunContext
from medrobust.engine.detecting.judging import crafted_for
from medrobust.engine.models.loading import module_of, part_of
from medrobust.engine.steps import DetectStep
from medrobust.grid.cells import Cell
from medrobust.grid.slices import Slice, cut
from medrobust.results.prune import prune

MakeSession = Callable[..., Session]

GRID = """
[define]
scans = { name = "textures", classes = 2 }
SIGN  = "sign"
[[grid]]
dataset = "@scans"
model = "tiny-net"
budget = "linf:16/255"
"""

PLUGINS = '''
from dataclasses import dataclass
from typing import ClassVar
import numpy as np
from medrobust import Detector, DetectorAttack, ThreatModel, hookimpl

@dataclass(frozen=True)
class Odd(Detector):
    """Breaks its contract."""
    name: ClassVar[str] = "odd"
    revision: ClassVar[int] = 1
    fault: str = ""

    @property
    def leaks(self):
        return "it peeps" if self.fault == "peeps" else ""

    def fit(self, learning):
        if self.fault == "raises":
            raise ValueError("no features like these")
        if self.fault == "peeps":
            return {"mean": learning.judged.layers["penultimate"].mean(axis=0)}
        assert learning.judged is None
        return {"list": [1, 2], "object": {"a": np.array([None])}}.get(self.fault, {"mean": np.zeros(1)})

    def score(self, state, seen):
        found = np.zeros(len(seen))
        return {"short": found[1:], "infinite": found + np.inf}.get(self.fault, found)

@dataclass(frozen=True)
class Dodge(DetectorAttack):
    """Goes where the detector's part of the loss is least, by one step, and checks what it is given."""
    name: ClassVar[str] = "dodge"
    revision: ClassVar[int] = 1
    threat: ClassVar[ThreatModel] = ThreatModel(norms={"linf"})

    def evade(self, classifier, detection, images, goal, budget, rng):
        assert not detection.of_score
        assert detection.score(images).shape == (len(images),)
        assert (detection.loss(classifier.features(images), classifier.logits(images)) >= 0).all()
        gradient = classifier.layer_gradient(images, lambda y, x: -detection.loss(x, y)).gradient
        return (images + budget.eps * gradient.sign()).clamp(0, 1)

@hookimpl
def medrobust_defenses():
    return [Odd]

@hookimpl
def medrobust_attacks():
    return [Dodge]
'''


@pytest.fixture
def made(session: MakeSession, tmp_path: Path) -> Session:
    """A session with a detector and an attack of somebody else's, from a local file."""
    (tmp_path / "detectors.py").write_text(PLUGINS)
    return session(files=(tmp_path / "detectors.py",))


def run(made: Session, more: str) -> tuple[Plan, Outcome]:
    planned = made.plan(parse_grid(tomllib.loads(GRID + more), made.registry))
    return planned, made.run(planned)


def records(made: Session, planned: Plan) -> dict[tuple[str, str], Record]:
    """What there is of each cell, by attack and detector as the store names them."""
    found = dict(made.store.records(list(planned.cells)))
    return {(planned.cells[c].axes()["attack"], planned.cells[c].axes()["detector"]): r for c, r in found.items()}


def detected(planned: Plan) -> Cell:
    """The one cell that has a detector."""
    (found,) = (cell for cell in planned.cells.values() if cell.detector)
    return found


def deep_features(made: Session, cell: Cell) -> NDArray[np.float32]:
    """What goes into the last layer of a cell's model, for the clean images."""
    context: RunContext = made.context
    part = part_of(cell.part, cell.target, context, None)
    module = module_of(cell.target, made.store, context)
    kept: list[torch.Tensor] = []
    hook = module.get_submodule("head").register_forward_pre_hook(lambda _m, given: kept.append(given[0].clone()))
    with torch.no_grad():
        module(part.tensor(slice(None)))
    hook.remove()
    return kept[0].numpy()


def test_it_learns_from_one_half_and_is_scored_on_the_other(made: Session) -> None:
    planned, outcome = run(made, 'attack = "sign"\ndetector = "distance"')
    assert outcome.complete, outcome.problems
    cell, record = detected(planned), records(made, planned)["sign", "distance<same"]
    part = part_of(cell.part, cell.target, made.context, None)
    learned = np.isin(np.arange(24), cut(part.data, Slice.parse("test[:80%]"), 0))
    assert record.clean_scores is not None
    assert record.scores is not None
    assert np.array_equal(np.isnan(record.scores), learned)
    assert np.array_equal(np.isnan(record.clean_scores), learned)
    assert record.groups is not None
    assert not set(record.groups[learned]) & set(record.groups[~learned])
    # Its mean is that of the clean images of its half that are classified correctly.
    features = deep_features(made, cell)
    correct = record.clean.argmax(axis=1) == record.labels
    expected = np.linalg.norm(features - features[learned & correct].mean(axis=0), axis=1)
    np.testing.assert_allclose(record.clean_scores[~learned], expected[~learned], rtol=1e-5)
    found = measure("detection_auc", record)
    assert found.n == 2 * int((~learned & correct).sum())


def test_detectors_judge_the_images_of_the_cell_without_one(made: Session) -> None:
    plain, _ = run(made, 'attack = ["sign", { name = "steps", steps = [2, 4] }]')
    planned, outcome = run(made, 'attack = ["sign", { name = "steps", steps = [2, 4] }]\ndetector = "distance"')
    assert outcome.complete, outcome.problems
    without = records(made, plain)
    for (attack, _), record in records(made, planned).items():
        assert np.array_equal(record.adversarial, without[attack, ""].adversarial)
        assert np.array_equal(record.linf, without[attack, ""].linf)


def test_every_attack_is_crafted_once_whoever_learns_from_it(made: Session) -> None:
    sources = '["same", "@SIGN", { name = "steps", steps = 3 }]'
    more = (
        'attack = ["@SIGN", { name = "steps", steps = [2, 4] }]\n'
        f'detector = ["distance", "odd", {{ name = "distance", source = {sources} }}]'
    )
    planned = made.plan(parse_grid(tomllib.loads(GRID + more), made.registry))
    (step,) = (each for each in made.steps(planned) if isinstance(each, DetectStep))
    runs = {type(cells[0].root).__name__: len(cells) for cells in crafted_for(step.makes).values()}
    # Three values of `steps` are one run; `sign` as a source is `sign` as an attack.
    assert runs == {"Sign": 1, "Steps": 3}


def test_a_detector_that_learns_from_the_attack_it_faces_is_one_however_it_is_written(made: Session) -> None:
    planned = made.plan(
        parse_grid(
            tomllib.loads(GRID + 'attack = "@SIGN"\ndetector = { name = "distance", source = ["same", "@SIGN"] }'),
            made.registry,
        )
    )
    mine = [entry for entry in planned.entries if entry.cell is not None and entry.cell.detector]
    assert [entry.row()["detector"] for entry in mine] == ["distance<same", "distance<SIGN"]
    assert len({entry.cell.id for entry in mine if entry.cell}) == 1


def test_fitted_on_all_images_it_is_scored_on_all_and_says_so(made: Session) -> None:
    planned, outcome = run(made, 'attack = "sign"\ndetector = { name = "distance", fit_on = "test" }')
    assert outcome.complete
    record = records(made, planned)["sign", "distance<same on test"]
    assert record.scores is not None
    assert np.isfinite(record.scores).all()
    reason = made.store.cells(["reason"]).loc[detected(planned).id, "reason"]
    assert reason.startswith("scored on images that it was fitted on (")


def test_a_detector_that_looks_at_what_it_is_scored_on_is_told(made: Session) -> None:
    planned, outcome = run(made, 'attack = "sign"\ndetector = { name = "odd", fault = "peeps" }')
    assert outcome.complete, outcome.problems
    assert made.store.cells(["reason"]).loc[detected(planned).id, "reason"] == "it peeps"


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("raises", "no features like these"),
        ("list", "detector 'odd': `fit` must return a dict of NumPy arrays by name"),
        ("object", "detector 'odd': `a` of what it learned is no array of numbers"),
        ("short", "detector 'odd' must return a finite score for each of 4 images, not float64 (3,)"),
        ("infinite", "detector 'odd' must return a finite score for each of 4 images"),
    ],
)
def test_a_detector_that_breaks_its_contract_is_told_and_takes_no_cell_with_it(
    made: Session, fault: str, reason: str
) -> None:
    odd = f'{{ name = "odd", fault = "{fault}" }}'
    planned, outcome = run(made, f'attack = "sign"\ndetector = [{odd}, "distance"]')
    ((_, status, told),) = outcome.problems
    assert (status, reason in told) == ("failed", True), told
    assert ("sign", "distance<same") in records(made, planned)


def test_a_layer_that_there_is_not_is_answered_with_those_there_are(made: Session) -> None:
    planned, outcome = run(made, 'attack = "sign"\ndetector = ["distance", { name = "distance", layer = "res5b" }]')
    ((_, _, told),) = outcome.problems
    assert told == "the model has no layer 'res5b'; its layers: penultimate, convolution, head"
    assert ("sign", "distance<same") in records(made, planned)


@pytest.mark.parametrize(("fault", "ends"), [("budget", "invalid"), ("raises", "failed")])
def test_an_attack_that_breaks_a_rule_costs_the_cells_that_need_it(made: Session, fault: str, ends: str) -> None:
    wrong = f'{{ name = "misbehaving", fault = "{fault}" }}'
    planned, outcome = run(
        made, f'attack = ["sign", {wrong}]\ndetector = ["distance", {{ name = "distance", source = {wrong} }}]'
    )
    told = {(planned.cells[c].axes()["attack"], status) for c, status, _ in outcome.problems}
    assert {status for _, status in told} == {ends}
    assert [key for key in records(made, planned) if key[1]] == [("sign", "distance<same")]


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ('stop = "success"\ndetector = "distance"', "a detector judges images at full strength; write stop = 'full'"),
        ('detector = { name = "distance", fit_on = "train" }', "such as 'test[:80%]'"),
        ('detector = "distance"\nattack = "dodge"', "comes after the detector: name another attack as its source"),
        ('attack = "dodge"', "is for a detector: name one, such as detector = 'dfeat'"),
        ('detector = { name = "distance", source = "dodge" }', "a detector cannot learn from attack 'dodge'"),
        ('detector = { name = "distance", source = "one-for-all" }', "a detector learns from an attack on each image"),
        ('detector = "distance"\ndataset = { name = "textures", multilabel = true }', "detectors are for multiclass"),
        (
            'detector = { name = "distance", source = "sign" }\nattack = "misbehaving"\nbudget = "l2:1"',
            "the detector's source: attack 'sign' supports the norms linf, not l2",
        ),
    ],
)
def test_what_cannot_be_is_left_out_with_the_reason(made: Session, more: str, reason: str) -> None:
    text = tomllib.loads(GRID)
    block = {**text["grid"][0], "attack": "sign", **tomllib.loads(more)}
    planned = made.plan(parse_grid({**text, "grid": [block]}, made.registry))
    assert all(reason in entry.excluded for entry in planned.entries if entry.row()["attack"] != "none")
    assert any(entry.excluded for entry in planned.entries)


def test_what_was_learned_is_kept_as_arrays_and_scores_again(made: Session) -> None:
    planned, _ = run(made, 'attack = "sign"\ndetector = "distance"')
    cell = detected(planned)
    (row,) = made.store.rows("artifacts").to_dict("records")
    assert (row["kind"], row["artifact"]) == ("detector", cell.detector_id)
    assert json.loads(row["description"])["cell"] == cell.id
    mean = made.store.load_tensors(row["content"])["mean"].numpy()
    scores = np.linalg.norm(deep_features(made, cell) - mean, axis=1)
    record = records(made, planned)["sign", "distance<same"]
    assert record.clean_scores is not None
    kept = np.isfinite(record.clean_scores)
    np.testing.assert_allclose(scores[kept], record.clean_scores[kept], rtol=1e-5)
    assert prune(made.store, grace=0).nothing
    assert cell.detector_id in made.store.artifacts()


def test_an_attack_that_knows_the_detector_gets_it_fitted(made: Session) -> None:
    planned, outcome = run(made, 'attack = ["sign", "dodge"]\ndetector = { name = "distance", source = "sign" }')
    assert outcome.complete, outcome.problems
    found = records(made, planned)
    plain, dodged = found["sign", "distance<same"], found["dodge", "distance<sign"]
    assert plain.scores is not None
    assert dodged.scores is not None
    scored = np.isfinite(dodged.scores)
    assert np.array_equal(scored, np.isfinite(plain.scores) & (plain.clean.argmax(axis=1) == plain.labels))
    # Images that do not count are left out, and numbers that are about all images do not exist.
    assert np.array_equal(np.isfinite(dodged.adversarial).all(axis=1), scored)
    assert dodged.linf[scored].max() <= 16 / 255 + 1e-6
    assert measure("accuracy", dodged).reason == "logits that are not finite"
    assert measure("detection_auc", dodged).scalar is not None


def test_verification_makes_the_same_scores(made: Session, session: MakeSession, tmp_path: Path) -> None:
    from medrobust.api import verify_cells

    planned, _ = run(made, 'attack = "sign"\ndetector = { name = "distance", source = { name = "steps", steps = 2 } }')
    again = Session(tmp_path / "again", plugin_files=made.plugin_files, workers=1, device="cpu")
    (found,) = verify_cells(made.store, [detected(planned).id], again)
    assert (found.outcome, found.detail) == ("equal", "")
