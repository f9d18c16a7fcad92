"""The source behind a plugin: an edit of anything that it runs or reads takes effect, any other edit does not."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from types import ModuleType

import pytest

from medrobust import PluginError, Registry
from medrobust.plugins import homes
from medrobust.plugins.source import source_hash

Package = dict[str, str]

ATTACK = '''
    """An attack."""
    from dataclasses import dataclass
    from typing import ClassVar
    from medrobust import Attack, ThreatModel
    {imports}

    @dataclass(frozen=True)
    class Mine(Attack):
        """What it does."""

        name: ClassVar[str] = "mine"
        threat: ClassVar[ThreatModel] = ThreatModel(norms={{"linf"}})

        def perturb(self, classifier, images, goal, budget, rng):
            return {call}
'''
PACKAGE: Package = {
    "__init__.py": "from .attack import Mine\nfrom .unrelated import other\n",
    "attack.py": ATTACK.format(imports="from .helper import shift", call="shift(images)"),
    "helper.py": "from . import deeper\n\ndef shift(x):\n    return deeper.amount() + x\n",
    "deeper.py": "def amount():\n    return 1\n",
    "unrelated.py": "def other():\n    return 1\n",
}


@pytest.fixture
def clean_modules() -> Iterator[None]:
    """Modules of a test are forgotten after it."""
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.startswith(("pack", "helpers_of", "namespace")):
            del sys.modules[name]


@pytest.fixture
def hash_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clean_modules: None) -> Callable[..., str]:
    """Install a package anew, as pip would leave it, and give the source hash of its attack."""
    count = 0

    def install(files: Package, *, data: dict[str, bytes] | None = None, sibling: Package | None = None) -> str:
        nonlocal count
        count += 1
        site = tmp_path / f"site{count}"
        own, other = "pack", "helpers_of_pack"
        for name, content in [(own, files), (other, sibling or {})]:
            for path, code in content.items():
                file = site / name / path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(dedent(code))
        for path, content in (data or {}).items():
            file = site / own / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        folder = site / "pack-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: pack\nVersion: 1.0\n")
        (folder / "top_level.txt").write_text(f"{own}\n{other}\n" if sibling else f"{own}\n")
        for name in [n for n in sys.modules if n.partition(".")[0] in (own, other)]:
            del sys.modules[name]
        with monkeypatch.context() as patch:
            patch.syspath_prepend(site)
            importlib.invalidate_caches()
            homes._siblings.cache_clear()
            plugin = importlib.import_module(f"{own}.attack").Mine
            return source_hash(plugin)

    return install


HashOf = Callable[..., str]


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("attack.py", "shift(images)", "shift(2 * images)"),
        ("helper.py", "+ x", "- x"),
        ("deeper.py", "return 1", "return 2"),
    ],
)
def test_an_edit_of_what_is_imported_takes_effect(hash_of: HashOf, file: str, old: str, new: str) -> None:
    assert old in PACKAGE[file]
    assert hash_of(PACKAGE) != hash_of({**PACKAGE, file: PACKAGE[file].replace(old, new)})


@pytest.mark.parametrize(
    ("file", "new"),
    [
        ("unrelated.py", "def other():\n    return 2\n"),
        ("__init__.py", "from .attack import Mine\n"),
        ("deeper.py", "# Why.\n\ndef amount():\n    '''How much.'''\n    return (1)\n"),
        ("attack.py", PACKAGE["attack.py"].replace("What it does.", "Other words.")),
        ("attack.py", PACKAGE["attack.py"].replace('= "mine"', '= "mine"\n        """Said of a field."""')),
    ],
)
def test_another_edit_does_not(hash_of: HashOf, file: str, new: str) -> None:
    assert hash_of(PACKAGE) == hash_of({**PACKAGE, file: new})


WAYS = {
    "from a package": ("from pack import helper", "helper.shift(images)"),
    "by its full name": ("import pack.helper", "pack.helper.shift(images)"),
    "by another name": ("import pack.helper as h", "h.shift(images)"),
    "of the package alone": ("import pack", "pack.helper.shift(images)"),
    "all names": ("from .helper import *", "shift(images)"),
    "inside a function": ("", "__import__('pack.helper').helper.shift(images)"),
    "by a literal": ("import importlib", "importlib.import_module('pack.helper').shift(images)"),
    "by a relative literal": ("import importlib", "importlib.import_module('.helper', __package__).shift(images)"),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_of_importing_is_followed(hash_of: HashOf, way: str) -> None:
    files = {**PACKAGE, "attack.py": ATTACK.format(imports=WAYS[way][0], call=WAYS[way][1])}
    first = hash_of(files)
    assert first != hash_of({**files, "deeper.py": "def amount():\n    return 2\n"})
    assert first == hash_of({**files, "unrelated.py": "def other():\n    return 2\n"})


def test_what_is_for_type_checkers_only_does_not_count(hash_of: HashOf) -> None:
    imports = "from typing import TYPE_CHECKING\n    if TYPE_CHECKING:\n        from .helper import shift"
    files = {**PACKAGE, "attack.py": ATTACK.format(imports=imports, call="images")}
    assert hash_of(files) == hash_of({**files, "helper.py": "shift = 2"})


REGISTERING = {
    "__init__.py": "",
    "attack.py": ATTACK.format(imports="from .tools import shift", call="shift(images)"),
    "tools/__init__.py": "from .shifts import move as shift\nfrom .turns import turn\n\ndef local(x):\n    return x\n",
    "tools/shifts.py": "def move(x):\n    return x + 1\n",
    "tools/turns.py": "def turn(x):\n    return x\n",
}


def test_of_a_package_only_what_stands_behind_the_name_counts(hash_of: HashOf) -> None:
    first = hash_of(REGISTERING)
    assert first == hash_of({**REGISTERING, "tools/turns.py": "def turn(x):\n    return -x\n"})
    assert first != hash_of({**REGISTERING, "tools/shifts.py": "def move(x):\n    return x + 2\n"})
    # The name may come to stand for something else without an edit of either module.
    shifts = "def move(x):\n    return x + 1\n\ndef back(x):\n    return x - 1\n"
    renamed = {**REGISTERING, "tools/shifts.py": shifts}
    other = REGISTERING["tools/__init__.py"].replace("move as", "back as")
    assert hash_of(renamed) != hash_of({**renamed, "tools/__init__.py": other})


def test_a_name_that_a_package_defines_itself_brings_the_package(hash_of: HashOf) -> None:
    files = {**REGISTERING, "attack.py": ATTACK.format(imports="from .tools import local", call="local(images)")}
    init = files["tools/__init__.py"]
    assert hash_of(files) != hash_of({**files, "tools/__init__.py": init.replace("return x\n", "return -x\n")})
    assert hash_of(files) != hash_of({**files, "tools/turns.py": "def turn(x):\n    return -x\n"})


def test_names_of_a_star_import_are_found(hash_of: HashOf) -> None:
    init = "from .shifts import *\nfrom .turns import *\n"
    files = {
        **REGISTERING,
        "tools/__init__.py": init,
        "attack.py": ATTACK.format(imports="from .tools import move", call="move(images)"),
    }
    assert hash_of(files) == hash_of({**files, "tools/turns.py": "def turn(x):\n    return -x\n"})
    assert hash_of(files) != hash_of({**files, "tools/shifts.py": "def move(x):\n    return x + 2\n"})


def test_modules_that_import_each_other_are_followed_once(hash_of: HashOf) -> None:
    files = {**PACKAGE, "deeper.py": "from . import helper\n\ndef amount():\n    return 1\n"}
    assert hash_of(files) != hash_of({**files, "helper.py": PACKAGE["helper.py"].replace("+ x", "- x")})


def test_other_packages_of_the_distribution_count_and_other_distributions_do_not(hash_of: HashOf) -> None:
    files = {
        **PACKAGE,
        "attack.py": ATTACK.format(imports="from helpers_of_pack.a import f\n    import numpy", call="f(images)"),
    }
    one, other = ({"__init__.py": "", "a.py": f"def f(x):\n    return x + {n}\n"} for n in (1, 2))
    assert hash_of(files, sibling=one) != hash_of(files, sibling=other)
    stranger = {**PACKAGE, "attack.py": ATTACK.format(imports="import torch", call="torch.sign(images)")}
    assert hash_of(stranger)


DATA = {
    "a file": ("Path(__file__).with_name('mask.csv')", "mask.csv", "other.csv"),
    "a file in a folder": ("Path(__file__).parent / 'data' / 'mask.csv'", "data/mask.csv", "elsewhere/mask.csv"),
    "a folder": ("Path(__file__).parent / 'data'", "data/deep/mask.csv", "elsewhere/mask.csv"),
    "a path": ("Path(__file__).parent / 'data/mask.csv'", "data/mask.csv", "data/other.csv"),
    "a resource": ("files('pack.data') / 'mask.csv'", "data/mask.csv", "elsewhere/mask.csv"),
    "a file without a way there": ("open('mask.csv')", "mask.csv", "other.csv"),
}


@pytest.mark.parametrize("way", DATA)
def test_data_that_a_module_names_beside_it_counts(hash_of: HashOf, way: str) -> None:
    call, file, unnamed = DATA[way]
    imports = "from pathlib import Path\n    from importlib.resources import files"
    package = {**PACKAGE, "attack.py": ATTACK.format(imports=imports, call=call), "data/__init__.py": ""}
    first = hash_of(package, data={file: b"1", unnamed: b"1"})
    assert first != hash_of(package, data={file: b"2", unnamed: b"1"})
    assert first == hash_of(package, data={file: b"1", unnamed: b"2"})


def test_the_place_of_a_package_does_not_count(hash_of: HashOf) -> None:
    # Each call installs into a folder of its own.
    data = {"data/mask.csv": b"1"}
    package = {**PACKAGE, "helper.py": "import pathlib\nshift = pathlib.Path(__file__).parent / 'data' / 'mask.csv'\n"}
    assert hash_of(package, data=data) == hash_of(package, data=data)


def local(tmp_path: Path, name: str, code: str) -> type:
    file = tmp_path / f"{name}.py"
    file.write_text(dedent(code))
    registry = Registry(strict=True)
    registry.load_file(file)
    return next(o.plugin for o in registry.offers("attack") if o.distribution == name)


CHILD = """
    from dataclasses import dataclass
    from typing import ClassVar
    from pack.attack import Mine

    @dataclass(frozen=True)
    class Child(Mine):
        name: ClassVar[str] = "child"
        VALUE: ClassVar[int] = 1
"""


def test_a_revision_is_not_inherited(hash_of: HashOf, tmp_path: Path) -> None:
    revised = PACKAGE["attack.py"].replace('= "mine"', '= "mine"\n        revision: ClassVar[int] = 3')
    assert hash_of({**PACKAGE, "attack.py": revised}) == "r3"
    first, second = (local(tmp_path, f"child{n}", CHILD.replace("= 1", f"= {n}")) for n in (1, 2))
    assert first.revision == second.revision == 3  # type: ignore[attr-defined]
    assert source_hash(first) != source_hash(second)
    # The base answers for itself, by its revision.
    assert source_hash(first).endswith("+pack.Mine:r3")


def test_a_base_without_a_revision_brings_its_source(hash_of: HashOf, tmp_path: Path) -> None:
    base = hash_of(PACKAGE)
    assert source_hash(local(tmp_path, "offspring", CHILD)).endswith(f"+{base}")


def test_a_class_whose_source_cannot_be_found_must_have_a_revision(monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = ModuleType("nowhere")
    monkeypatch.setitem(sys.modules, "nowhere", nowhere)
    exec(dedent(ATTACK.format(imports="", call="images")), nowhere.__dict__)
    with pytest.raises(PluginError, match=r"source of nowhere\.Mine cannot be found.*declare `revision"):
        source_hash(nowhere.Mine)
