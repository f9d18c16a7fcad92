"""Work of a plan by architecture, and hours by what was measured: counted passes against those of a run."""

from __future__ import annotations

import json
import time
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from medrobust import Passes, StoreError
from medrobust.api import Plan, Session, parse_grid
from medrobust.engine.calibration import architectures_of, images_per_second, measure
from medrobust.engine.throughput import Architecture, Throughput, Throughputs, demands_of, seconds_of

MakeSession = Callable[..., Session]
BASE = '[[grid]]\ndataset = { name = "phantom-derm", train = 40, val = 8, test = 20 }\nmodel = "tiny-net"\n'
BUDGET = 'budget = "linf:4/255"\n'

pytest.importorskip("medrobust_datasets")


@pytest.fixture
def made(tmp_path: Path, tiny: Path) -> Session:
    return Session(tmp_path / "store", (tiny,), cache=tmp_path / "cache", device="cpu", workers=1)


def plan(made: Session, more: str) -> Plan:
    return made.plan(parse_grid(tomllib.loads(BASE + BUDGET + more), made.registry))


def asked(made: Session, more: str) -> Passes:
    demands, unknown = demands_of(made.steps(plan(made, more)), made.context.source)
    assert unknown == 0
    return sum((passes for _, passes in demands), Passes())


def test_a_training_and_its_clean_record(made: Session) -> None:
    # Four epochs of 40 images, the best chosen on 8; then 20 test images.
    assert asked(made, 'attack = "none"') == Passes(forward=4 * 8 + 20, training=160)


@pytest.mark.parametrize(
    ("attack", "gradient"),
    [('"sign"', 20), ('{ name = "steps", steps = 5 }', 100), ('{ name = "steps", steps = [2, 5] }', 100), ('"hum"', 0)],
)
def test_an_attack_is_counted_as_it_runs(made: Session, attack: str, gradient: int) -> None:
    found = asked(made, f"attack = {attack}")
    assert found.gradient == gradient
    planned = plan(made, f"attack = {attack}")
    assert made.run(planned).complete
    cells = made.store.cells(["attack", "backward_passes"])
    assert int(cells["backward_passes"].max()) == gradient


def test_a_universal_attack_is_counted_once_for_all_that_use_it(made: Session) -> None:
    once = asked(made, 'attack = "one-for-all"')
    twice = asked(made, 'attack = "one-for-all"\nevaluate_on = ["test", "val"]')
    assert once.gradient == twice.gradient == 40


def test_defenses_and_their_attacks_are_counted(made: Session) -> None:
    pytest.importorskip("medrobust_defenses")
    defense = (
        '{ name = "adversarial-training", attack = { name = "steps", steps = 3 }, budget = "linf:4/255", epochs = 2 }'
    )
    found = asked(made, f"defense = {defense}")
    assert found.gradient == 2 * 3 * 40
    assert found.training == 160 + 2 * 40
    drilled = asked(made, 'defense = { name = "drilled", rounds = 3 }')
    assert drilled.training == 160 + 3 * 40


def test_what_is_in_the_store_is_not_counted(made: Session) -> None:
    assert made.run(plan(made, 'attack = "none"')).complete
    assert asked(made, 'attack = "sign"') == Passes(forward=40, gradient=20)


def test_models_that_differ_in_weights_and_epochs_are_one_architecture(made: Session) -> None:
    more = 'surrogate = [{}, { instance = "other" }]\nattack = "sign"\nseed = [0, 1]'
    demands, _ = demands_of(made.steps(plan(made, more)), made.context.source)
    assert len(demands) == 1
    longer = plan(made, 'attack = "none"').cells.values()
    (one,) = {Architecture.of(c.target).key for c in longer}
    assert one == demands[0][0].key


def test_hours_follow_from_measurements(made: Session, tmp_path: Path) -> None:
    demands, _ = demands_of(made.steps(plan(made, 'attack = "sign"')), made.context.source)
    throughputs = Throughputs(tmp_path / "t.json")
    assert seconds_of(demands, throughputs, "a GPU") == (0.0, [demands[0][0]])
    throughputs.add(demands[0][0], "a GPU", Throughput(forward=2.0, gradient=1.0, training=0.5))
    passes = demands[0][1]
    expected = passes.forward / 2 + passes.gradient + passes.training * 2
    assert seconds_of(demands, Throughputs(tmp_path / "t.json"), "a GPU") == (expected, [])
    assert seconds_of(demands, throughputs, "another")[1]
    # A newer measurement replaces the older one.
    throughputs.add(demands[0][0], "a GPU", Throughput(4.0, 2.0, 1.0))
    assert seconds_of(demands, throughputs, "a GPU")[0] == expected / 2
    assert len(json.loads((tmp_path / "t.json").read_text())) == 1
    assert throughputs.devices() == ["a GPU"]


def test_a_damaged_file_of_measurements_is_named_with_its_remedy(tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text("[{")
    with pytest.raises(StoreError, match=r"t\.json cannot be read .*; delete it and calibrate again"):
        Throughputs(tmp_path / "t.json").devices()


def test_measuring_takes_about_the_time_that_is_asked_for(made: Session) -> None:
    grid = parse_grid(tomllib.loads(BASE), made.registry)
    (architecture,) = architectures_of(grid, made.metadata)
    assert architecture.shape == (3, 40, 40)
    found = measure(architecture, made.context, 0.05)
    # A tiny network: thousands of images a second on any machine, and a gradient costs more than logits.
    assert found.forward > 200
    assert 0 < found.gradient < 2 * found.forward
    assert found.training > 20


def test_what_a_plan_asks_is_what_is_measured(made: Session) -> None:
    """Also trainings that come before: their recipe may augment, which takes time."""
    recipe = '{ epochs = 1, augment = ["hflip"] }'
    first = '{ pretrain_on = { name = "phantom-natural", train = 20, size = 40 }, recipe = ' + recipe + " }"
    text = BASE.replace('"tiny-net"', '["tiny-net", { name = "tiny-net", init = ' + first + " }]")
    grid = parse_grid(tomllib.loads(text), made.registry)
    demands, unknown = demands_of(made.steps(made.plan(grid)), made.context.source)
    assert unknown == 0
    measured = {architecture.key for architecture in architectures_of(grid, made.metadata)}
    assert {architecture.key for architecture, _ in demands} == measured
    assert len(measured) == 2


def test_the_first_time_does_not_count() -> None:
    """A process loads and compiles much of what it needs the first time that it trains."""
    waits = iter([0.5])
    rate = images_per_second(lambda: time.sleep(next(waits, 0.01)), 10, "cpu", 0.05)
    assert 200 < rate <= 1000


def test_architectures_of_data_that_are_not_there_are_known_by_the_fields(made: Session) -> None:
    text = '[[grid]]\ndataset = { name = "eyepacs", size = 224 }\nmodel = "tiny-net"\n'
    (architecture,) = architectures_of(parse_grid(tomllib.loads(text), made.registry), made.metadata)
    assert (architecture.shape, architecture.outputs) == ((3, 224, 224), 2)
