"""docs/contributing-a-plugin.md: at most two screens, and every command of it does what it says, for each kind."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from medrobust.scaffold.writing import KINDS

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "contributing-a-plugin.md"
SCREEN = 50
"""Lines of a screen; tables and paragraphs are wider than most, so this is a small one."""
SHOWN = {
    "attack": r"^\d=? +demo ",
    "universal-attack": r"^\d=? +demo ",
    "defense": r"net \+ demo",
    "detector": r"^fgsm +demo<",
    "model": r"^\d=? +.* demo",
    "dataset": r"Models on demo",
    "probe": r"Models on eyes",
}
"""What the leaderboard shows of a plugin of each kind; of a probe, the model that it looked at."""


def commands() -> Sequence[Sequence[str]]:
    """The lines of each block of commands."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return [block.splitlines() for block in blocks]


def test_it_is_two_screens_long() -> None:
    assert len(DOCUMENT.read_text(encoding="utf-8").splitlines()) <= 2 * SCREEN


def test_its_table_has_every_kind() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `([\w-]+)` \|", text, re.MULTILINE)) == set(KINDS)


@pytest.mark.long
def test_the_test_of_the_page_passes(environment: Any, tmp_path: Path) -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```$", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    environment.run("medrobust new attack demo", tmp_path)
    file = tmp_path / "demo" / "tests" / "test_strength.py"
    file.write_text(code)
    assert "1 passed" in environment.run("python -m pytest -p no:cacheprovider tests/test_strength.py", file.parents[1])


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_from_an_idea_to_a_row(environment: Any, tmp_path: Path, kind: str) -> None:
    begin, explain, _ = commands()
    folder, told = tmp_path, {}
    try:
        for line in (*begin, *explain):
            if line.startswith("cd "):
                folder = folder / line.removeprefix("cd ")
                continue
            told[line] = environment.run(line.replace(" new attack ", f" new {kind} "), folder)
    finally:
        environment.run("pip uninstall -y demo", tmp_path)
    assert re.search(r"\d+ passed", told["pytest"])
    assert re.search(SHOWN[kind], told["medrobust leaderboard medrobust-store"], re.MULTILINE)
    assert f"demo  ({kind.removeprefix('universal-')})" in told["medrobust plugins demo"]
    assert " 0 broken" in told["medrobust check demo"]


def test_the_last_commands_are_those_of_the_first_grid() -> None:
    """tests/test_third_party.py runs them."""
    *_, last = commands()
    grid = (ROOT / "docs" / "first-grid.toml").read_text(encoding="utf-8")
    assert all(line in grid for line in last)
