"""Estimating a plan's time: from equal steps where there are some, in proportion where not, and never by guessing."""

from __future__ import annotations

import tomllib
from collections.abc import Callable

from medrobust.api import Plan, Session, parse_grid
from medrobust.engine.running.estimate import OVERHEAD, Costs, estimate

MakeSession = Callable[..., Session]
BASE = '[[grid]]\ndataset = "textures"\nmodel = "tiny-net"\nbudget = ["linf:4/255", "linf:8/255"]\n'


def plan(made: Session, more: str) -> Plan:
    return made.plan(parse_grid(tomllib.loads(BASE + more), made.registry))


def guess(made: Session, more: str) -> float | None:
    return estimate(made.steps(plan(made, more)), made.store, Costs(made.context))


def test_a_step_costs_what_it_asks_of_models(session: MakeSession) -> None:
    made = session()
    steps = made.steps(plan(made, 'attack = ["sign", "steps"]'))
    costs = Costs(made.context).of(steps)
    assert costs.keys() == {step.id for step in steps}
    assert min(costs.values()) > OVERHEAD
    by_attack = {step.cells[0].axes()["attack"]: costs[step.id] for step in steps if step.cells}
    expected = {name: by_attack[name] for name in ("none", "sign", "steps")}
    assert sorted(expected, key=expected.__getitem__) == ["none", "sign", "steps"]
    longer = Costs(made.context).of(made.steps(plan(made, 'attack = { name = "steps", steps = 40 }')))
    assert max(longer.values()) - OVERHEAD > 5 * (expected["steps"] - OVERHEAD)


def test_without_records_nothing_is_said(session: MakeSession) -> None:
    made = session()
    assert guess(made, 'attack = "sign"') is None
    made.run(plan(made, 'attack = "none"'))
    assert guess(made, 'attack = "none"') is None


def test_equal_steps_take_what_equal_steps_took(session: MakeSession) -> None:
    made = session()
    made.run(plan(made, 'attack = "sign"'))
    cells = made.store.cells(["attack", "seconds"])
    once = cells[cells["attack"] == "sign"]["seconds"].median()
    found = guess(made, 'attack = "sign"\nevaluate_on = "val"')
    assert found is not None
    clean = cells[cells["attack"] == "none"]["seconds"].median()
    assert abs(found - (2 * once + clean)) < 1e-6


def test_every_kind_of_step_can_be_estimated(session: MakeSession) -> None:
    made = session()
    made.run(plan(made, 'attack = "sign"'))
    more = 'attack = ["sign", "one-for-all"]\ndefense = ["none", "drilled"]\nprobe = "examples"'
    kinds = {type(s).__name__ for s in made.steps(plan(made, more))}
    assert kinds == {"DefenseStep", "UniversalStep", "CraftStep", "ProbeStep"}
    found = guess(made, more)
    assert found is not None
    assert found > 0
