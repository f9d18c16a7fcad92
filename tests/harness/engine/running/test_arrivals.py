"""What other runs have done is looked for often where that is quick, and seldom where it takes long."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from medrobust.api import Store
from medrobust.engine.running.arrivals import Arrivals
from medrobust.results.tables import Tables


def test_looking_takes_a_tenth_of_the_time_at_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path / "store").create()
    arrivals = Arrivals(store)
    names, listed = Tables.names, []

    def slow(self: Tables, table: str, stem: str = "") -> object:
        listed.append(table)
        time.sleep(0.01)
        return names(self, table, stem)

    monkeypatch.setattr(Tables, "names", slow)
    for _ in range(3):
        arrivals.update(now=False)
    assert len(listed) == 3 * 4, "where it is quick, it looks before each step"
    listed.clear()
    monkeypatch.setattr("medrobust.engine.running.arrivals.CHEAP", 0.0)
    begun = time.monotonic()
    while time.monotonic() - begun < 1:
        arrivals.update(now=False)
    assert 4 <= len(listed) <= 3 * 4, "40 ms at least for each look"
    row = {"fit": "one", "weights": "w", "model": "m", "dataset": "d"}
    store.write_rows("fits", "one", [row])
    assert arrivals.update().weights == {"one"}, "asked to, it looks at once"
