"""Computing what a store lacks of a plan: the steps are planned, run, and planned again for what they found lost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from ..grid.plan import Done, Plan
from ..results.leases import Leases
from ..results.store import Store
from .context import RunContext
from .planner import steps_of
from .running.arrivals import Arrivals
from .running.estimate import Costs
from .running.executors import Workers
from .running.progress import Watcher
from .running.schedule import Schedule, Tally
from .steps import Step

ROUNDS = 3
"""How often a run plans. The second round makes again what the first found damaged, the third what depends on it."""


def done_in(store: Store) -> Done:
    """What a store has already."""
    return Done(store.finished(), store.fitted().keys(), store.artifacts(), store.parts())


def compute(
    plan: Plan, store: Store, context: RunContext, workers: Callable[[Sequence[Step]], Workers], watcher: Watcher
) -> Tally:
    """Run the steps that a store lacks of a plan, under leases that other runs on the store respect.

    Args:
        plan: what is wanted.
        store: where it is kept.
        context: for the steps.
        workers: where given steps run.
        watcher: receives progress.
    """
    tally = Tally()
    for _ in range(ROUNDS):
        # Before the store is read, so that nothing arrives unseen in between.
        arrivals = Arrivals(store)
        steps = remaining(plan, store, tally)
        if not steps:
            break
        watcher.begin(steps, Costs(context))
        try:
            with Leases(store.objects) as leases:
                Schedule(steps, workers(steps), store, context, watcher, leases, arrivals, tally).run()
        finally:
            watcher.end()
        store.compact()
    return tally


def remaining(plan: Plan, store: Store, tally: Tally) -> list[Step]:
    """The steps that a store lacks of a plan, without those that failed in this run."""
    done = done_in(store)
    before = set(done.cells) - tally.cells
    steps = steps_of(plan, replace(done, cells={*done.cells, *tally.failed_cells}), restore=before)
    return [step for step in steps if step.id not in tally.failed]
