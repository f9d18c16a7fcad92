"""Running the trials on a model, the most telling first, within a time."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import torch
from torch import nn

from ..contracts import BudgetSpec
from ..engine.calibration import crafting_rates, measure
from ..engine.numerics import ieee_float32
from ..engine.running.progress import Silent, Watcher
from ..engine.running.standing import telling
from ..engine.session import Session
from ..engine.sizes import Sizes
from ..engine.throughput import Architecture, Throughput
from ..errors import ModelError
from ..grid.plan import Plan
from ..plugins.in_memory import InMemoryModel
from ..results.record import Record
from .judgement import Result, Smallest
from .results import result_of, smallest_of
from .subject import Subject
from .timing import BLIND, EXPECTED, FLOOR, Cost, Fitted, Unit, cost_of, fit
from .trials import CHECKS, Trial, Trials, cannot, grid_of, groups_of

MEASURED: Final = 0.5
"""Seconds for which each kind of pass is timed."""
OVERHEAD: Final = 1.0
"""Seconds that a unit takes at least: planning, writing, reading."""
SETTLING: Final = 10.0
"""Seconds of units before what they took counts as much as what was expected."""


@dataclass
class Ran:
    """What was run.

    Attributes:
        plan: everything that was asked for.
        clean: the clean record.
        results, smallest: by trial and budget.
        records: of each result, its record.
        left_out: what was not, and why.
        images: how many were judged.
    """

    plan: Plan
    clean: Record
    images: int
    results: list[Result] = field(default_factory=list)
    smallest: Smallest | None = None
    records: dict[tuple[str, str], Record] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)


class Course:
    """One course of trials.

    Args:
        session: where the model and the images are known by name.
        trials: the list.
        model, dataset: their names.
        module: the model, for its speed to be measured.
        subject: the images.
        deadline: `time.monotonic()` at which everything should be done; None for as long as it takes.
        watcher: receives progress.
        say: takes a line that tells what comes next.
        stochastic: whether equal images may get different outputs.
    """

    def __init__(
        self,
        session: Session,
        trials: Trials,
        model: str,
        dataset: str,
        module: nn.Module,
        subject: Subject,
        deadline: float | None,
        watcher: Watcher | None = None,
        say: Callable[[str], None] = lambda line: None,
        *,
        stochastic: bool = False,
    ) -> None:
        self.session, self.names, self.module, self.subject = session, (dataset, model), module, subject
        self.deadline, self.watcher, self.say = deadline, watcher or Silent(), say
        self.stochastic = stochastic
        self.left_out: list[str] = []
        self.trials = replace(trials, trials=tuple(self._possible(trials.trials)))
        self.expected = self.taken = SETTLING
        """Seconds that the units run so far were expected to take, and took."""
        self.shares: dict[tuple[str, float], float] = {}
        """By norm and radius, the share of images that the strongest attack so far leaves."""

    def _possible(self, trials: Sequence[Trial]) -> Sequence[Trial]:
        """The trials that these images permit."""
        found = []
        for trial in trials:
            if why := cannot(trial, self.subject):
                self.left_out.append(f"{trial.title}: {why}")
            else:
                found.append(trial)
        return found

    def run(self) -> Ran:
        """Run what fits the time."""
        plan = self._planned(None)
        fitted = self._fitted(plan)
        count = len(self.subject.judged)
        if fitted.images < count:
            self.left_out.append(f"{count - fitted.images} of {count} images, to keep to the time")
            plan = self._planned(fitted.images)
        self._note_impossible(plan)
        parts = {(trial, budget): replace(plan, entries=tuple(e)) for trial, budget, e in groups_of(plan.entries)}
        with telling(plan, self.session.store):
            return self._run(plan, parts, fitted)

    def _run(self, plan: Plan, parts: Mapping[tuple[str, str], Plan], fitted: Fitted) -> Ran:
        self.say(f"checks of the model and its clean accuracy, {fitted.images} images")
        self._compute(parts[CHECKS, ""])
        (clean_cell,) = {cell.clean_id for cell in parts[CHECKS, ""].cells.values()}
        clean = self._record(clean_cell)
        if clean is None:
            reason = self.session.store.cells(["reason"])["reason"].get(clean_cell, "not computed")
            raise ModelError(f"the model cannot be evaluated on the images: {reason}")
        ran = Ran(plan, clean, fitted.images)
        # A model that breaks easily leaves time: what was dropped comes last, and is run where it fits after all.
        unrun = [u for u in (*fitted.units, *reversed(fitted.dropped)) if not self._one(u, parts, ran)]
        ran.left_out = [*self.left_out, *self._no_room(unrun)]
        return ran

    def _planned(self, images: int | None) -> Plan:
        common: dict[str, Any] = {"threads": torch.get_num_threads()}
        if not self.subject.labelled:
            common["goal"] = "predicted"
        if self.stochastic:
            common["stop"] = "full"  # one wrong draw does not make an image broken
        table = grid_of(self.trials.trials, self.trials.define, *self.names, **common)
        return self.session.plan(table, images=images, evidence=True)

    def _fitted(self, plan: Plan) -> Fitted:
        count = len(self.subject.judged)
        if self.deadline is None:
            rates: Mapping[str, Throughput] = {}
        else:
            self.say("measuring how fast the model is")
            rates = self._rates(plan)
        sizes, seen, units, checks = Sizes(self.session.context.source), set[str](), [], Cost()
        order = {trial.id: place for place, trial in enumerate(self.trials.trials)}
        for trial, budget, entries in groups_of(plan.entries):
            part = replace(plan, entries=tuple(entries))
            if not part.cells:
                continue
            steps = [s for s in self.session.steps(part) if s.id not in seen]
            if rates:
                seen |= {step.id for step in steps}
            cost = cost_of(steps, sizes, rates, count) if rates else Cost()
            if trial == CHECKS:
                checks += cost
                continue
            found = self.trials.of(trial)
            rank = found.budgets.index(budget) if budget in found.budgets else len(found.budgets)
            floor = BLIND if found.kind == "black-box" else FLOOR
            units.append(Unit(trial, budget, rank, order[trial], cost, found.early, floor))
        left = None if self.deadline is None else max(self.deadline - time.monotonic(), 1.0)
        return fit(units, count, left, checks)

    def _rates(self, plan: Plan) -> dict[str, Throughput]:
        """Images a second, of the judged model and of those that are trained on the spot."""
        rates: dict[str, Throughput] = {}
        for cell in plan.cells.values():
            for target in {cell.target, cell.source or cell.target}:
                architecture = Architecture.of(target)
                if architecture.key in rates:
                    continue
                if isinstance(architecture.model, InMemoryModel):
                    module = copy.deepcopy(self.module).to(self.session.device)
                    with ieee_float32():
                        forward, gradient = crafting_rates(
                            module, architecture.shape, architecture.outputs, self.session.context, MEASURED
                        )
                    rates[architecture.key] = Throughput(forward, gradient, training=gradient)
                else:
                    rates[architecture.key] = measure(architecture, self.session.context, MEASURED)
        return rates

    def _one(self, unit: Unit, parts: Mapping[tuple[str, str], Plan], ran: Ran) -> bool:
        """Run one unit, unless the time does not suffice for it; whether it does."""
        part = parts.get((unit.trial, unit.budget))
        if part is None or not part.cells:
            return True
        # The measured radius decides how many images stay: what broke at a smaller one leaves at once.
        expected = unit.expected(ran.images, self._share(unit.budget)) * self.taken / self.expected
        if self.deadline is not None and expected > self.deadline - time.monotonic():
            return False
        begun = time.monotonic()
        self.say(self._title(unit))
        self._compute(part)
        if self.deadline is not None:
            self.expected += max(unit.expected(ran.images, self._share(unit.budget)), OVERHEAD)
            self.taken += time.monotonic() - begun
        self._keep(unit, part, ran)
        return True

    def _keep(self, unit: Unit, part: Plan, ran: Ran) -> None:
        trial = self.trials.of(unit.trial)
        for identity, cell in part.cells.items():
            if cell.attack is None:
                continue
            record = self._record(identity)
            if record is None:
                reasons = self.session.store.cells(["reason"])["reason"]
                self.left_out.append(f"{self._title(unit)}: {reasons.get(identity, 'not computed')}")
            elif trial.kind == "smallest":
                ran.smallest = smallest_of(trial, cell, record)
            else:
                result = result_of(trial, unit.budget, cell, record)
                ran.results.append(result)
                ran.records[unit.trial, unit.budget] = record
                if trial.kind == "white-box":
                    at = (result.norm, result.eps)
                    self.shares[at] = min(result.kept.value, self.shares.get(at, 1.0))

    def _no_room(self, unrun: Sequence[Unit]) -> list[str]:
        """A line for each trial of which budgets are left out."""
        budgets: dict[str, list[str]] = {}
        for unit in sorted(unrun, key=lambda u: (u.order, u.rank)):
            budgets.setdefault(self.trials.of(unit.trial).title, []).append(unit.budget.removeprefix("linf:"))
        return [f"{title}, {', '.join(found)}: no room in the time" for title, found in budgets.items()]

    def _share(self, budget: str) -> float:
        """The share of images that an attack is expected not to break at a budget."""
        norm, eps = _radius(budget)
        known = [share for (of, radius), share in self.shares.items() if of == norm and radius <= eps]
        return min(known, default=EXPECTED)

    def _compute(self, part: Plan) -> None:
        self.session.run(part, self.watcher)

    def _record(self, identity: str) -> Record | None:
        return dict(self.session.store.records([identity])).get(identity)

    def _title(self, unit: Unit) -> str:
        title = self.trials.of(unit.trial).title
        return title if unit.budget.endswith(":min") else f"{title}, {unit.budget}"

    def _note_impossible(self, plan: Plan) -> None:
        told: dict[str, None] = {}
        for trial, _, entries in groups_of(plan.entries):
            for entry in entries:
                if (why := entry.excluded or entry.impossible) and trial != CHECKS:
                    told[f"{self.trials.of(trial).title}: {why}"] = None
        self.left_out += told


def _radius(budget: str) -> tuple[str, float]:
    """Norm and radius; 0 where there is none, or it is relative to the images."""
    spec = BudgetSpec.parse(budget)
    return spec.norm, float(spec.eps.value) if spec.eps is not None and spec.eps.unit == "pixel01" else 0.0
