"""The source of plugins, as files for others."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from medrobust import PluginError
from medrobust.plugins import packing
from medrobust.plugins.packing import sources
from medrobust.plugins.registry import Registry

ATTACK = """
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import besides
import parcel.inner
from medrobust import Attack, ThreatModel

TABLE = Path(__file__).parent / "steps.csv"
FOLDER = Path(__file__).parent / "tables"


@dataclass(frozen=True)
class Packed(Attack):
    name: ClassVar[str] = "packed"
    threat: ClassVar[ThreatModel] = ThreatModel(norms={"linf"}, knowledge="none")

    def perturb(self, classifier, images, goal, budget, rng):
        return images
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A plugin file with what it imports and reads beside it, and with what it does not."""
    for name, text in {
        "packed.py": ATTACK,
        "besides.py": "",
        "parcel/__init__.py": "",
        "parcel/inner.py": "",
        "parcel/other.py": "",
        "parcel/__pycache__/inner.pyc": "",
        "parcel/fast.so": "",
        "parcel/.secret": "",
        "steps.csv": "1",
        "tables/a.csv": "2",
        "unrelated.py": "",
        "notes.txt": "",
        "store/store.json": "",
    }.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    path = list(sys.path)
    yield tmp_path
    sys.path[:] = path
    for name in ("besides", "parcel", "parcel.inner", "medrobust_local_packed"):
        sys.modules.pop(name, None)


def test_a_local_file_goes_with_what_it_imports_and_reads(folder: Path) -> None:
    registry = Registry()
    registry.load_file(folder / "packed.py")
    (source,) = sources([registry.find("attack", "packed")])
    assert (source.distribution, source.file) == ("packed", "packed.py")
    assert set(source.content) == {
        *("packed.py", "besides.py", "steps.csv", "tables/a.csv"),
        *("parcel/__init__.py", "parcel/inner.py", "parcel/other.py"),
    }


def test_data_do_not_count_as_source(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    registry = Registry()
    registry.load_file(folder / "packed.py")
    monkeypatch.setattr(packing, "MOST", 100)
    with pytest.raises(PluginError, match="keep data apart from code, or use --no-source"):
        sources([registry.find("attack", "packed")])
