"""How far a run came that ends early."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from ...errors import MedrobustError
from ...grid.plan import Plan
from ...results.store import Store


@contextmanager
def telling(plan: Plan, store: Store) -> Iterator[None]:
    """What ends a run before it is through gets a note that says how many cells of the plan are there."""
    try:
        yield
    except (KeyboardInterrupt, MedrobustError, OSError) as end:
        with suppress(MedrobustError, OSError):
            end.add_note(standing(plan, store))
        raise


def standing(plan: Plan, store: Store) -> str:
    """How many cells of a plan a store has, in words; the next run does not compute them again."""
    if not store.exists:
        return f"there is no store at {store.path} now"
    there = len(store.finished() & plan.cells.keys())
    return f"{there} of {len(plan.cells)} cells are in the store {store.path}, and are not computed again"
