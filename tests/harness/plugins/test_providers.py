"""Providers: what a library has is offered by name, and nothing of it is imported before it is used."""

from __future__ import annotations

import importlib
import pickle
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from medrobust import PluginError
from medrobust.api import Registry
from medrobust.plugins import builtin
from medrobust.plugins.naming import table_of
from medrobust.plugins.recorded import recorded_plugins
from medrobust.plugins.specs import build, without_value

Program = Callable[..., Any]

LIBRARY = """
    class Nudge:
        \"\"\"Moves every pixel up.\"\"\"
    class Shove:
        \"\"\"Moves every pixel further.\"\"\"
    Push = Shove
"""
PROVIDER = """
    from dataclasses import dataclass, make_dataclass
    from functools import cache
    from typing import ClassVar
    from medrobust import Attack, PluginError, Provider, ThreatModel

    @dataclass(frozen=True)
    class Base(Attack):
        libraries: ClassVar[tuple[str, ...]] = ("zoolib",)
        threat: ClassVar[ThreatModel] = ThreatModel(norms={"linf"})

        def perturb(self, classifier, images, goal, budget, rng):
            return (images + self.share * budget.eps).clamp(0, 1)

    @cache
    def made(name):
        space = {"name": name, "__doc__": getattr(__import__("zoolib"), name).__doc__, "__module__": __name__}
        return make_dataclass(name, [("share", float, 1.0)], bases=(Base,), namespace=space, frozen=True)

    def __getattr__(name):
        if not name.startswith("_") and hasattr(__import__("zoolib"), name):
            return made(name)
        raise AttributeError(name)

    class Zoo(Provider):
        prefix: ClassVar[str] = "zoo"
        kind: ClassVar[str] = "attack"
        library: ClassVar[str] = "zoolib"

        def names(self):
            return [name for name in vars(__import__("zoolib")) if name[0].isupper()]

        def plugin(self, name):
            if name == "Bite":
                raise PluginError("needs a tiger")
            if name not in self.names():
                raise KeyError(name)
            return made(getattr(__import__("zoolib"), name).__name__)
"""


@pytest.fixture
def zoo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A local file with a provider, and its library installed."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "zoolib.py").write_text(dedent(LIBRARY))
    (tmp_path / "zoolib-1.5.dist-info").mkdir()
    (tmp_path / "zoolib-1.5.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: zoolib\nVersion: 1.5\n")
    (tmp_path / "keeper.py").write_text(dedent(PROVIDER))
    importlib.invalidate_caches()
    from medrobust.plugins.libraries import library_version

    library_version.cache_clear()
    yield tmp_path / "keeper.py"
    library_version.cache_clear()
    for name in [name for name in sys.modules if name.endswith(("zoolib", "keeper"))]:
        del sys.modules[name]


def registry(*files: Path, strict: bool = True) -> Registry:
    found = Registry(strict=strict)
    found.add(builtin, "medrobust", "0", bundled=True)
    for file in files:
        found.load_file(file)
    return found


def test_a_name_of_the_library_is_a_plugin_and_nothing_is_imported_before(zoo: Path) -> None:
    found = registry(zoo)
    assert [(each.prefix, each.version) for each in found.libraries()] == [("zoo", "1.5")]
    assert [o.name for o in found.offers("attack")] == ["none"]
    assert "zoolib" not in sys.modules

    offer = found.find("attack", "zoo:Nudge")
    assert "zoolib" in sys.modules
    assert (offer.name, offer.qualified, offer.summary) == ("zoo:Nudge", "zoo:Nudge", "Moves every pixel up.")
    spec = build(offer, {"share": 0.5}, found)
    assert (spec.name, spec.plugin.share) == ("zoo:Nudge(share=0.5)", 0.5)  # type: ignore[attr-defined]
    assert table_of(offer, spec.plugin, found) == {"name": "zoo:Nudge", "share": 0.5}
    assert found.libraries("zoo")[0].names() == ["Nudge", "Push", "Shove"]


def test_the_version_of_the_library_belongs_to_the_identity(zoo: Path) -> None:
    found = registry(zoo)
    fields = build(found.find("attack", "zoo:Nudge"), {}, found).fields
    assert (fields["plugin"], fields["libraries"]) == ("zoo:Nudge", {"zoolib": "1.5"})
    assert [o.name for o in recorded_plugins(fields, registry(zoo))] == ["zoo:Nudge"]  # type: ignore[union-attr]


def test_a_plugin_inside_another_one_is_found_again(zoo: Path) -> None:
    found = registry(zoo)
    nested = without_value(build(found.find("attack", "zoo:Nudge"), {}, found).plugin)
    assert "plugin" not in nested
    assert [o.name for o in recorded_plugins(nested, found)] == ["zoo:Nudge"]  # type: ignore[union-attr]


def test_another_word_for_a_plugin_is_the_same_plugin(zoo: Path) -> None:
    found = registry(zoo)
    assert found.find("attack", "zoo:Push").name == "zoo:Shove"
    assert found.find("attack", "zoo:Push").plugin is found.find("attack", "zoo:Shove").plugin


def test_instances_reach_other_processes(zoo: Path) -> None:
    found = registry(zoo)
    plugin = build(found.find("attack", "zoo:Nudge"), {"share": 0.25}, found).plugin
    handed = pickle.dumps(plugin)
    sys.modules[type(plugin).__module__].made.cache_clear()  # type: ignore[attr-defined]
    assert pickle.loads(handed).share == 0.25


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("zoo:Nudg", r"no attack is called 'zoo:Nudg'; did you mean 'zoo:Nudge'\?. 'medrobust plugins --provider zoo'"),
        ("zoo:Bite", "attack 'zoo:Bite': needs a tiger"),
        ("zoo", "'zoo' is a library: write 'zoo:NAME'"),
    ],
)
def test_a_name_that_leads_nowhere_says_why(zoo: Path, name: str, message: str) -> None:
    with pytest.raises(PluginError, match=message):
        registry(zoo).find("attack", name)


def test_a_library_that_is_not_installed_costs_a_command_when_it_is_used(zoo: Path) -> None:
    zoo.write_text(zoo.read_text().replace('library: ClassVar[str] = "zoolib"', 'library: ClassVar[str] = "menagerie"'))
    found = registry(zoo)
    assert found.libraries()[0].version is None
    with pytest.raises(PluginError, match=r"'zoo:...' needs menagerie, which is not installed: pip install menagerie"):
        found.find("attack", "zoo:Nudge")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('("zoolib",)', "()", "does not name 'zoolib' in `libraries`"),
        ("def __getattr__(name)", "def attribute(name)", "is no attribute of its module"),
        ('kind: ClassVar[str] = "attack"', 'kind: ClassVar[str] = "model"', None),
    ],
)
def test_a_plugin_that_would_go_wrong_later_is_refused(zoo: Path, old: str, new: str, message: str | None) -> None:
    zoo.write_text(zoo.read_text().replace(old, new))
    kind = "attack" if message else "model"
    with pytest.raises(PluginError, match=message or "is of the kind attack, which is not that of its provider"):
        registry(zoo).find(kind, "zoo:Nudge")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('prefix: ClassVar[str] = "zoo"', 'prefix: ClassVar[str] = "Zoo!"', "its prefix 'Zoo!' must be lower case"),
        ('kind: ClassVar[str] = "attack"', 'kind: ClassVar[str] = "atack"', "did you mean 'attack'"),
        ('library: ClassVar[str] = "zoolib"', "pass", "has no class variable `library`"),
        ("def names(self)", "def name_list(self)", "does not implement names"),
    ],
)
def test_what_is_wrong_with_a_provider_is_told(zoo: Path, old: str, new: str, message: str) -> None:
    zoo.write_text(zoo.read_text().replace(old, new))
    with pytest.raises(PluginError, match=message):
        registry(zoo)


def test_a_prefix_stands_for_one_thing(zoo: Path) -> None:
    second = zoo.with_name("second.py")
    second.write_text(zoo.read_text())
    with pytest.raises(PluginError, match="the prefix 'zoo' is that of a provider of keeper"):
        registry(zoo, second)
    named = zoo.with_name("zoo.py")
    named.write_text(zoo.read_text())
    with pytest.raises(PluginError, match="'zoo' is the prefix of the plugins of zoolib; rename the file"):
        registry(zoo, named)
    found = registry(zoo, strict=False)
    found.add(builtin, "zoo", "1", bundled=False)
    assert "'zoo:' stands for what keeper offers of a library" in str(found.faults[0])
    found = registry(strict=False)
    found.add(builtin, "zoo", "1", bundled=False)
    found.load_file(second)
    assert "the prefix 'zoo' is the name of a distribution that offers plugins" in str(found.faults[-1])


def test_the_list_names_the_library_and_the_option_what_it_has(zoo: Path, program: Program) -> None:
    listed = program("plugins", "--kind", "attack", plugins=(zoo,)).out
    assert "zoo:" in listed
    assert "attacks of zoolib (1.5)" in listed
    assert "Nudge" not in listed
    inside = program("plugins", "--provider", "zoo", plugins=(zoo,)).out
    assert "zoo:Nudge" in inside
    assert "Moves every pixel up." in inside
    assert "noise" not in inside
    page = program("plugins", "zoo:Nudge", plugins=(zoo,)).out
    assert "share: number, default 1.0" in page
    assert 'attack = { name = "zoo:Nudge", share = 1.0 }' in page
