"""Why something failed, in one line."""

from __future__ import annotations

from medrobust import MedrobustError
from medrobust.engine.explain import explain


def test_people_read_why_a_cell_failed() -> None:
    assert explain(MedrobustError("put it there"), "attack 'x'") == "put it there"
    try:
        raise KeyError("a\n  long   story")
    except KeyError as error:
        line = explain(error, "attack 'x'")
    assert line.startswith("attack 'x' raised KeyError: 'a\\n long story' at test_explain.py:")
