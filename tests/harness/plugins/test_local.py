"""Local plugin files: they can import their neighbours, as these are now, and nothing else is hidden by that."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from types import ModuleType
from typing import Any

import pytest

from medrobust import PluginError
from medrobust.api import Registry
from medrobust.plugins.source import source_hash

PLUGIN = """
    from dataclasses import dataclass
    from typing import ClassVar
    from medrobust import Attack, ThreatModel
    from helpers_beside import shift

    @dataclass(frozen=True)
    class Shifted(Attack):
        name: ClassVar[str] = "shifted"
        threat: ClassVar[ThreatModel] = ThreatModel(norms={"linf"})

        def perturb(self, classifier, images, goal, budget, rng):
            return shift(images)
"""
HELPER = "AMOUNT = 1\n\ndef shift(x):\n    return x + AMOUNT\n"


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """Folders and modules of a test are forgotten after it."""
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if name.startswith(("medrobust_local_", "helpers_beside")):
            del sys.modules[name]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "shifted_file.py").write_text(dedent(PLUGIN))
    (tmp_path / "helpers_beside.py").write_text(HELPER)
    return tmp_path


def load(folder: Path) -> Any:
    """The attack as a new session finds it."""
    registry = Registry(strict=True)
    registry.load_file(folder / "shifted_file.py")
    return registry.find("attack", "shifted").plugin


def test_a_plugin_file_imports_what_lies_beside_it(folder: Path) -> None:
    attack = load(folder)()
    assert attack.perturb(None, 1, None, None, None) == 2


def test_the_folder_hides_nothing_that_is_installed(folder: Path) -> None:
    (folder / "torch.py").write_text("raise RuntimeError('taken for torch')")
    load(folder)
    assert sys.path[-1] == str(folder)


def test_a_module_may_say_anything_of_its_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    odd = ModuleType("odd_module")
    odd.__file__ = folder / "odd_module.py"  # type: ignore[assignment]
    monkeypatch.setitem(sys.modules, "odd_module", odd)
    load(folder)


def test_an_edited_neighbour_runs_and_counts(folder: Path) -> None:
    first = source_hash(load(folder))
    (folder / "helpers_beside.py").write_text(HELPER.replace("AMOUNT = 1", "AMOUNT = 10"))
    second = load(folder)
    assert second().perturb(None, 1, None, None, None) == 11
    assert source_hash(second) != first


def test_a_neighbour_that_is_not_imported_does_not_count(folder: Path) -> None:
    first = source_hash(load(folder))
    (folder / "another.py").write_text("x = 1")
    assert source_hash(load(folder)) == first


def test_two_plugin_files_of_a_folder_share_a_neighbour(folder: Path) -> None:
    code = PLUGIN.replace("Shifted", "Again").replace('"shifted"', '"again"')
    (folder / "again_file.py").write_text(dedent(code))
    registry = Registry(strict=True)
    for name in ("shifted_file", "again_file"):
        registry.load_file(folder / f"{name}.py")
    modules = [sys.modules[f"medrobust_local_{name}"] for name in ("shifted_file", "again_file")]
    assert modules[0].shift is modules[1].shift


def test_a_neighbour_of_another_folder_is_not_taken_for_it(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "mine.py").write_text(dedent(PLUGIN))
    (other / "helpers_beside.py").write_text(HELPER)
    registry = Registry(strict=True)
    registry.load_file(folder / "shifted_file.py")
    with pytest.raises(PluginError, match=r"`import helpers_beside` gives .*, not .*other.*rename the file beside"):
        registry.load_file(other / "mine.py")
