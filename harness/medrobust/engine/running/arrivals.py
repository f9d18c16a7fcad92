"""What has come into a store since a plan was made, from this run or from others."""

from __future__ import annotations

import time

import pyarrow as pa
import pyarrow.compute as pc

from ...errors import LostError
from ...grid.plan import Done
from ...results.store import Store
from ...results.tables import stem_of

_TABLES = {"cells": "cell", "fits": "fit", "artifacts": "artifact", "parts": "part"}

SHARE = 0.1
"""Of the time of a run, how much it looks for what other runs have done, at most."""
CHEAP = 0.25
"""Seconds that a look may take so that it is taken before each step all the same, and no step is done twice."""


class Arrivals:
    """Made before a plan looks into the store, it knows of everything that the plan has not seen.

    Files never change under their names, so that only those of new names are read.

    Attributes:
        own: steps that this run has done itself; it need not read what came of them.
        done: what has arrived, but for the cells of these.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self._known = {table: {found.name for found in store.tables.names(table)} for table in _TABLES}
        self._found: dict[str, set[str]] = {table: set() for table in _TABLES}
        self.own: set[str] = set()
        self._looked = self._took = 0.0
        self.done = Done(*(self._found[table] for table in _TABLES))

    def update(self, *, now: bool = True) -> Done:
        """Look for what is new; without `now`, where that takes long, only if it took little of the time since then.

        A hundred thousand files in a bucket far away take seconds to list, and a run asks before each step. What
        another run did in between may be done twice then, which loses nothing.
        """
        begun = time.monotonic()
        if not now and self._took > CHEAP and begun - self._looked < self._took * (1 / SHARE - 1):
            return self.done
        self._look()
        self._looked = time.monotonic()
        self._took = self._looked - begun
        return self.done

    def _look(self) -> None:
        for table, key in _TABLES.items():
            for found in self.store.tables.names(table):
                if found.name in self._known[table]:
                    continue
                self._known[table].add(found.name)
                if table == "cells" and stem_of(found).partition("-")[0] in self.own:
                    continue
                columns = [key, "status"] if table == "cells" else [key]
                try:
                    rows = self.store.tables.read_file(table, found, columns)
                except LostError:
                    continue  # joined with others meanwhile: the joined file is new as well
                if table == "cells":
                    rows = rows.filter(pc.is_in(rows["status"], pa.array(["ok", "invalid"])))
                self._found[table].update(rows[key].to_pylist())
