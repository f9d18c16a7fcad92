"""Plans: what is shared is made once, what is there is not made again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from medrobust import DataSource, UniversalAttack
from medrobust.api import Grid, Plan, Registry
from medrobust.engine.planner import steps_of
from medrobust.engine.steps import CraftStep, FitStep, Step
from medrobust.grid.expansion import expand
from medrobust.grid.metadata import MetadataCache
from medrobust.grid.plan import Done

MakeGrid = Callable[..., Grid]
MakePlan = Callable[[str], Plan]


@pytest.fixture
def plan(grid: MakeGrid, core: Registry) -> MakePlan:
    def make(more: str) -> Plan:
        text = f'[[grid]]\ndataset = "textures"\nmodel = "tiny-net"\n{more}'
        return Plan("g", "", tuple(expand(grid(text), MetadataCache(DataSource(), core))))

    return make


def crafts(steps: list[Step]) -> list[CraftStep]:
    return [s for s in steps if isinstance(s, CraftStep)]


def fits(steps: list[Step]) -> list[FitStep]:
    return [s for s in steps if isinstance(s, FitStep)]


def test_a_sweep_over_a_cumulative_field_is_one_run(plan: MakePlan) -> None:
    found = plan('attack = { name = "steps", steps = [1, 5, 3] }\nbudget = ["linf:1/255", "linf:2/255"]')
    made = [c for c in crafts(steps_of(found, Done())) if c.root is not None]
    assert len(found.cells) == 2 * 3 + 1
    assert [c.root.steps for c in made] == [5, 5]  # type: ignore[union-attr]
    assert [[x.cumulative_value for x in c.makes] for c in made] == [[1, 5, 3], [1, 5, 3]]
    assert [[x.root.steps for x in c.makes] for c in made] == [[1, 5, 3]] * 2  # type: ignore[union-attr]


def test_a_sweep_over_another_field_is_not(plan: MakePlan) -> None:
    found = plan('attack = { name = "steps", step_size = ["eps/2", "eps/4"] }\nbudget = "linf:1/255"')
    assert len([c for c in crafts(steps_of(found, Done())) if c.root is not None]) == 2


def test_what_is_there_shortens_the_run(plan: MakePlan) -> None:
    found = plan('attack = { name = "steps", steps = [1, 3, 5] }\nbudget = "linf:1/255"')
    largest = next(c for c in found.cells.values() if c.attack and c.attack.plugin.steps == 5)  # type: ignore[attr-defined]
    (step,) = [c for c in crafts(steps_of(found, Done(cells={largest.id}))) if c.root is not None]
    assert step.root.steps == 3  # type: ignore[union-attr]
    assert [x.cumulative_value for x in step.makes] == [1, 3]


def test_derived_attacks_share_the_run_of_what_they_derive_from(plan: MakePlan) -> None:
    found = plan(
        'attack = ["steps", { name = "halved", of = { name = "steps", steps = [2, 4] } }]\nbudget = "linf:1/255"'
    )
    (step,) = [c for c in crafts(steps_of(found, Done())) if c.root is not None]
    assert step.root.steps == 4  # type: ignore[union-attr]
    chains = [(c.cumulative_value, [d.name for d in c.chain]) for c in step.makes]
    assert chains == [(4, []), (2, ["halved"]), (4, ["halved"])]


def test_one_surrogate_serves_every_target(plan: MakePlan) -> None:
    found = plan(
        'train_set = ["train[:50%]", "train"]\nattack = "sign"\nbudget = "linf:1/255"\n'
        'surrogate = { train_set = "train[50%:]", model = { name = "tiny-net", instance = 9 } }'
    )
    steps = steps_of(found, Done())
    (shared,) = [c for c in crafts(steps) if c.root is not None]
    assert len(shared.makes) == 2
    assert len(fits(steps)) == 3
    assert set(shared.needs) == {s.id for s in fits(steps)}


def test_steps_wait_for_the_models_they_use_and_for_no_others(plan: MakePlan) -> None:
    found = plan('attack = "sign"\nbudget = "linf:1/255"\nseed = [0, 1]')
    steps = steps_of(found, Done())
    ids = [s.id for s in steps]
    assert len(set(ids)) == len(ids)
    by_id = {s.id: s for s in steps}
    for craft in crafts(steps):
        assert craft.needs == (craft.source.fit_id,)
        assert all(ids.index(need) < ids.index(craft.id) and isinstance(by_id[need], FitStep) for need in craft.needs)


def test_weights_that_are_there_are_not_fitted_again(plan: MakePlan) -> None:
    found = plan('attack = "sign"\nbudget = "linf:1/255"\nseed = [0, 1]')
    (first, second) = fits(steps_of(found, Done()))
    steps = steps_of(found, Done(weights={first.id}))
    assert fits(steps)[0].id == second.id
    assert {c.needs for c in crafts(steps)} == {(), (second.id,)}


def test_a_wrapping_defense_needs_no_training_of_its_own(plan: MakePlan) -> None:
    found = plan('defense = ["none", "blur"]\nattack = "sign"\nbudget = "linf:1/255"')
    assert len(fits(steps_of(found, Done()))) == 1
    assert len(found.cells) == 4


def test_nothing_is_left_to_do_when_every_cell_is_there(plan: MakePlan) -> None:
    found = plan('attack = ["sign", "steps"]\nbudget = "linf:1/255"')
    assert steps_of(found, everything(found)) == []


def everything(plan: Plan) -> Done:
    cells = plan.cells.values()
    perturbations = {c.perturbation_id for c in cells if isinstance(c.root, UniversalAttack)}
    weights = {w for c in cells for w in c.target.weights}
    return Done({c.id for c in cells}, weights, perturbations | plan.probes.keys(), {c.part.id for c in cells})


def test_what_finished_cells_rest_on_is_made_again_where_it_is_lost(plan: MakePlan) -> None:
    found = plan(
        'attack = ["sign", "one-for-all"]\nbudget = "linf:1/255"\nprobe = "difference"\n'
        'defense = ["none", { name = "drilled", rounds = 2 }]'
    )
    done = everything(found)
    (hardened,) = {
        c.target.weights_id(): c.target for c in found.cells.values() if c.target.defense.name != "none"
    }.values()
    (part,) = {c.part.id for c in found.cells.values()}
    perturbation = sorted(done.artifacts - found.probes.keys())[0]
    probe = sorted(found.probes)[0]

    def without(**lost: str) -> list[tuple[str, str]]:
        left = {name: set(getattr(done, name)) - {value} for name, value in lost.items()}
        return [(step.kind, step.id) for step in steps_of(found, replace(done, **left))]

    assert without(weights=hardened.fit_id) == [("fit", hardened.fit_id)]
    assert without(weights=hardened.weights_id()) == [("defense", hardened.defense_id)]
    assert [kind for kind, _ in without(artifacts=perturbation)] == ["universal"]
    assert without(artifacts=probe) == [("probe", probe)]
    assert without(parts=part) == [("part", part)]


def test_a_step_is_left_with_what_nobody_has_done(plan: MakePlan) -> None:
    found = plan('attack = ["one-for-all", { name = "steps", steps = [1, 5] }]\nbudget = "linf:1/255"')
    done = everything(found)
    for step in steps_of(found, Done()):
        assert step.remaining(done) is None
        assert step.remaining(Done()) is not None
        for cell in step.cells:
            rest = step.remaining(replace(done, cells=set(done.cells) - {cell.id}))
            assert rest is not None
            assert rest.cells == (cell,)
            assert (rest.id, rest.needs) == (step.id, step.needs)


def test_reasons_for_what_is_not_planned_are_kept(plan: MakePlan) -> None:
    found = plan('attack = ["sign", "hum"]\nbudget = ["linf:1/255", "l2:1"]\nevaluate_on = ["test", { name = "ward" }]')
    assert {e.excluded for e in found.excluded} == {"attack 'sign' supports the norms linf, not l2"}
    assert all("the ward's images" in e.impossible for e in found.impossible)
    assert len(list(found.impossible)) == 4
    assert len(found.cells) == 4


def test_no_step_at_all_is_a_value_too(plan: MakePlan) -> None:
    steps_of(plan('attack = { name = "steps", steps = 0 }\nbudget = "linf:1/255"'), Done())
