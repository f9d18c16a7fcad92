"""Discovery: a fault stays with the plugin that has it, names always lead somewhere."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from medrobust import MedrobustError, PluginError
from medrobust.api import Registry

bundled = pytest.mark.skipif(
    importlib.util.find_spec("medrobust_attacks") is None,
    reason="bundled plugins are loaded first, and that they are gone is the first fault",
)
ATTACK = """
    from dataclasses import dataclass
    from typing import ClassVar
    from medrobust import Attack, Preset, ThreatModel, hookimpl

    @dataclass(frozen=True)
    class Mine(Attack):
        \"\"\"My attack.\"\"\"

        name: ClassVar[str] = "mine"
        threat: ClassVar[ThreatModel] = ThreatModel(norms={"linf"})
        strength: int = 1

        def perturb(self, classifier, images, goal, budget, rng):
            return images
"""
HOOK = """
    @hookimpl
    def medrobust_attacks():
        return [Mine]
"""


Site = Any


def discover(site: Site, *, strict: bool = False) -> Registry:
    """What is installed at the site, and the core's own offers."""
    from medrobust.plugins import builtin

    registry = Registry(strict=strict)
    registry.add(builtin, "medrobust", "0", bundled=True)
    ours = [p for p in importlib.metadata.entry_points(group="medrobust") if p.dist and p.dist.name != "medrobust"]
    assert len(ours) == len(site.modules)
    registry.load_entry_points()
    return registry


def faults_of(registry: Registry, distribution: str) -> list[str]:
    return [str(f) for f in registry.faults if f.distribution == distribution]


def test_a_strangers_entry_point_is_the_door(site: Site) -> None:
    site.install("stranger", ATTACK + HOOK)
    registry = discover(site)
    offer = registry.find("attack", "mine")
    assert (offer.distribution, offer.version, offer.bundled, offer.summary) == (
        "stranger",
        "1.2",
        False,
        "My attack.",
    )
    assert registry.find("attack", "stranger:mine") is offer


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        ("import no_such_module_at_all", "ModuleNotFoundError: No module named 'no_such_module_at_all'"),
        ("raise SystemExit(1)", "SystemExit: 1"),
        ("def f(:", "SyntaxError"),
        (ATTACK + HOOK.replace("return [Mine]", "raise ValueError('no luck')"), "hook 'medrobust_attacks': ValueError"),
        (ATTACK + HOOK.replace("return [Mine]", "raise SystemExit(9)"), "hook 'medrobust_attacks': SystemExit: 9"),
        (
            ATTACK + HOOK.replace("return [Mine]", "return None"),
            "returned None; it must return a list of plugin classes",
        ),
        (
            ATTACK + HOOK.replace("medrobust_attacks", "medrobust_atacks"),
            "no such hook; did you mean 'medrobust_attacks'?",
        ),
        (ATTACK + HOOK.replace("()", "(self_made)"), "self_made"),
        (ATTACK + HOOK.replace("[Mine]", "['mine']"), "'mine' is not a plugin class; derive it from medrobust.Attack"),
        (ATTACK + HOOK.replace("[Mine]", "[Mine, Mine]"), "offers attack 'mine' twice"),
        (
            ATTACK.replace("frozen=True", "") + HOOK,
            "is not a frozen dataclass; decorate it with @dataclass(frozen=True)",
        ),
        (ATTACK.replace("def perturb", "def pertub") + HOOK, "does not implement perturb"),
        (ATTACK.replace("        threat: ", "        thread: ") + HOOK, "declares no `threat"),
        (ATTACK.replace('"mine"', '"my:own"') + HOOK, "must not contain ':'"),
        (ATTACK.replace('        name: ClassVar[str] = "mine"', "") + HOOK, "has no class variable `name`"),
        (
            ATTACK + HOOK.replace("[Mine]", '[Preset("own", Mine, {"stength": 2})]'),
            "has no field 'stength'; did you mean 'strength'?",
        ),
        (ATTACK.replace("strength: int", "strength: Nowhere") + HOOK, "Nowhere"),
        (
            ATTACK.replace("strength: int = 1", "libraries: ClassVar = ('no-such-library',)") + HOOK,
            "plugin Mine: needs no-such-library, which is not installed. pip install no-such-library",
        ),
        (
            ATTACK.replace("strength: int = 1", "libraries: ClassVar = 'numpy'") + HOOK,
            "`libraries` is 'numpy'; it must be a tuple such as ('a', 'b')",
        ),
        (
            ATTACK.replace("strength: int = 1", "revision: ClassVar = '1'") + HOOK,
            "`revision` is '1'; it must be a whole number, or None",
        ),
        (
            ATTACK.replace("strength: int = 1", "batch_size: ClassVar = 0") + HOOK,
            "`batch_size` is 0; it must be at least 1, or None",
        ),
        (ATTACK.replace("strength: int", "source: int") + HOOK, "has a field 'source', a name that medrobust uses"),
        (
            "from __future__ import annotations\n"
            + dedent(ATTACK.replace("strength: int", "strength: Nowhere") + HOOK),
            "has an annotation that cannot be read: NameError: name 'Nowhere' is not defined",
        ),
        (
            ATTACK.replace("strength: int = 1", "strength: int = cumulative(1)").replace(
                "import Attack", "import cumulative, Attack"
            )
            + HOOK,
            "derive it from medrobust.IterativeAttack",
        ),
    ],
)
def test_a_broken_plugin_costs_one_line_and_nothing_else(site: Site, code: str, cause: str) -> None:
    site.install("broken", code, version="3.4")
    site.install("sound", ATTACK.replace('"mine"', '"sound"') + HOOK)
    registry = discover(site)
    (line,) = faults_of(registry, "broken")
    assert line.startswith("broken 3.4: ")
    assert cause in line
    assert "\n" not in line
    assert registry.find("attack", "sound").distribution == "sound"
    assert registry.find("attack", "none").bundled
    assert not faults_of(registry, "sound")


def test_a_fault_of_one_class_leaves_its_neighbours(site: Site) -> None:
    site.install("mixed", ATTACK + HOOK.replace("[Mine]", "[int, Mine]"))
    registry = discover(site)
    assert len(faults_of(registry, "mixed")) == 1
    assert registry.find("attack", "mine")


@bundled
def test_strict_raises_at_the_first_fault(site: Site) -> None:
    site.install("broken", "import no_such_module_at_all")
    with pytest.raises(
        PluginError, match=r"broken 1\.2: entry point 'plugins' \(broken\): ModuleNotFoundError.*Install what it needs"
    ):
        discover(site, strict=True)


def test_a_missing_name_mentions_what_could_not_be_loaded(site: Site) -> None:
    site.install("broken", "import no_such_module_at_all")
    with pytest.raises(PluginError, match=r"no attack is called 'wanted'.*Not loaded: broken 1\.2"):
        discover(site).find("attack", "wanted")


def test_a_bundled_bare_name_is_never_shadowed(site: Site) -> None:
    site.install("aardvark", ATTACK.replace('"mine"', '"none"') + HOOK)
    registry = discover(site)
    assert registry.find("attack", "none").distribution == "medrobust"
    assert registry.find("attack", "aardvark:none").distribution == "aardvark"


def test_a_name_of_two_strangers_must_be_qualified(site: Site) -> None:
    site.install("first", ATTACK + HOOK)
    site.install("second", ATTACK + HOOK)
    registry = discover(site)
    with pytest.raises(PluginError, match=r"'mine' is offered by several.*write 'first:mine' or 'second:mine'"):
        registry.find("attack", "mine")
    assert registry.find("attack", "second:mine").distribution == "second"


def test_a_plugin_is_called_by_the_shortest_name_that_means_it(site: Site) -> None:
    site.install("aardvark", ATTACK.replace('"mine"', '"none"') + HOOK)
    site.install("first", ATTACK + HOOK)
    registry = discover(site)
    offers = ("none", "aardvark:none", "mine", "first:mine")
    called = [registry.short_name(registry.find("attack", name)) for name in offers]
    assert called == ["none", "aardvark:none", "mine", "mine"]


@bundled
def test_a_bundled_name_costs_a_line_and_works_in_full(site: Site) -> None:
    site.install("aardvark", ATTACK.replace('"mine"', '"none"') + HOOK)
    registry = discover(site)
    (line,) = faults_of(registry, "aardvark")
    assert line == (
        "aardvark 1.2: plugin none: 'none' alone means the attack that comes with medrobust. "
        "Write 'aardvark:none' in grids, or let its authors rename it."
    )
    with pytest.raises(PluginError, match="comes with medrobust"):
        discover(site, strict=True)


def test_a_name_that_two_strangers_offer_is_told_before_it_is_used(site: Site) -> None:
    site.install("first", ATTACK + HOOK)
    site.install("second", ATTACK + HOOK)
    registry = discover(site)
    told = {line for offer in registry.offers("attack") if (line := registry.clash(offer))}
    assert told == {"attack 'mine' is offered by several distributions; write 'first:mine' or 'second:mine'"}


@pytest.mark.parametrize("value", ["Mine", "NUMBER", "NOTHING"])
def test_an_entry_point_that_names_no_module_is_told(site: Site, value: str) -> None:
    site.install("inside", ATTACK + HOOK + "\n    NUMBER, NOTHING = 42, None\n", attribute=value)
    registry = discover(site)
    (line,) = faults_of(registry, "inside")
    assert f"'{value}', and not a module. Name the module that has the hooks." in line


def test_a_distribution_without_metadata_is_named_as_far_as_that_is_known(site: Site) -> None:
    site.install("broken", "import no_such_module_at_all")
    (site.path / "broken-1.2.dist-info" / "METADATA").unlink()
    registry = discover(site)
    assert faults_of(registry, "unknown")[0].startswith("unknown ?: entry point 'plugins' (broken): ModuleNotFound")


@bundled
def test_strictness_can_be_asked_for_by_the_environment(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.install("broken", "import no_such_module_at_all")
    monkeypatch.setenv("MEDROBUST_STRICT", "1")
    with pytest.raises(PluginError, match="no_such_module_at_all"):
        Registry.discover()


@bundled
@pytest.mark.parametrize("code", ["x = 1", "from medrobust import Attack", "def attacks():\n    return []"])
def test_an_entry_point_without_a_hook_is_told(site: Site, code: str) -> None:
    site.install("aloof", code)
    registry = discover(site)
    (line,) = faults_of(registry, "aloof")
    assert line.startswith("aloof 1.2: entry point 'plugins' (aloof): has no hook and defines no plugin")
    assert "@hookimpl def medrobust_attacks()" in line
    with pytest.raises(PluginError, match="has no hook and defines no plugin"):
        discover(site, strict=True)


def test_a_hook_with_nothing_on_offer_is_no_mistake(site: Site) -> None:
    site.install("modest", ATTACK + HOOK.replace("[Mine]", "[]"))
    assert not faults_of(discover(site), "modest")


def test_other_distributions_can_be_left_out(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.install("stranger", ATTACK + HOOK)
    monkeypatch.setenv("MEDROBUST_DISABLE_PLUGINS", "1")
    with pytest.raises(PluginError, match="no attack is called 'mine'"):
        discover(site).find("attack", "mine")


def test_the_nearest_name_is_offered(core: Registry) -> None:
    with pytest.raises(PluginError, match=r"no attack is called 'sing'; did you mean 'sign'\?"):
        core.find("attack", "sing")
    with pytest.raises(PluginError, match="no model is called 'zzz'; valid: tiny-net"):
        core.find("model", "zzz")


def test_every_kind_comes_through_the_same_door(core: Registry) -> None:
    names = {(o.kind, o.name) for o in core.offers()}
    assert {
        ("dataset", "textures"),
        ("model", "tiny-net"),
        ("attack", "sign"),
        ("attack", "one-for-all"),
        ("defense", "blur"),
        ("detector", "distance"),
        ("probe", "difference"),
    } <= names
    assert not core.faults


def test_presets_give_one_class_several_names(tmp_path: Path) -> None:
    file = tmp_path / "several.py"
    preset = HOOK.replace("[Mine]", '[Mine, Preset("strong", Mine, {"strength": 9}, "Stronger.")]')
    file.write_text(dedent(ATTACK + preset))
    registry = Registry(strict=True)
    registry.load_file(file)
    assert registry.find("attack", "strong").preset == (("strength", 9),)
    assert registry.find("attack", "strong").summary == "Stronger."
    assert registry.find("attack", "several:mine").plugin is registry.find("attack", "strong").plugin


def test_a_local_file_needs_no_hook(tmp_path: Path) -> None:
    file = tmp_path / "my-attack.py"
    file.write_text(dedent(ATTACK))
    registry = Registry(strict=True)
    registry.load_file(file)
    assert registry.find("attack", "my-attack:mine").version == "local file"


@pytest.mark.parametrize(
    ("name", "code", "message"),
    [
        ("absent.py", None, "no such file"),
        ("notes.txt", "x = 1", "not a Python file"),
        ("wrong.py", "x = (", "SyntaxError"),
        ("raising.py", "raise RuntimeError('at home')", r"RuntimeError: at home \(raising.py:1\)"),
        ("leaving.py", "raise SystemExit(0)", "SystemExit"),
        ("empty.py", "x = 1", "offers no plugin"),
    ],
)
def test_a_local_file_that_was_named_is_wanted(tmp_path: Path, name: str, code: str | None, message: str) -> None:
    file = tmp_path / name
    if code is not None:
        file.write_text(code)
    with pytest.raises(PluginError, match=f"--plugin .*{name}: .*{message}"):
        Registry().load_file(file)


def test_two_local_files_of_one_name_would_hide_each_other(tmp_path: Path) -> None:
    registry = Registry()
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        file = tmp_path / folder / "mine.py"
        file.write_text(dedent(ATTACK.replace('"mine"', f'"{folder}"')))
        if folder == "a":
            registry.load_file(file)
    with pytest.raises(PluginError, match=r"mine\.py.*another file of this name.*[Rr]ename"):
        registry.load_file(file)


def test_a_local_file_must_not_take_the_name_of_a_distribution(site: Site, tmp_path: Path) -> None:
    site.install("stranger", ATTACK + HOOK)
    registry = discover(site)
    file = tmp_path / "stranger.py"
    file.write_text(dedent(ATTACK))
    with pytest.raises(PluginError, match="has the name of the distribution 'stranger'; rename the file"):
        registry.load_file(file)


def test_two_papers_of_one_name_are_told(site: Site) -> None:
    hook = """
        from pathlib import Path
        from medrobust import hookimpl

        @hookimpl
        def medrobust_papers():
            return [Path("PLACE/someone2030")]
    """
    site.install("first", hook.replace("PLACE", "a"))
    site.install("second", hook.replace("PLACE", "b"))
    registry = discover(site)
    assert registry.papers()["someone2030"] == Path("a/someone2030")
    (line,) = faults_of(registry, "second")
    assert "paper b/someone2030: the paper 'someone2030' is that of first. Rename the folder" in line


def test_papers_come_through_a_hook(tmp_path: Path) -> None:
    file = tmp_path / "extras.py"
    file.write_text(
        dedent(
            """
            from pathlib import Path
            from medrobust import hookimpl

            @hookimpl
            def medrobust_papers():
                return [Path("papers/someone2030")]
            """
        )
    )
    registry = Registry()
    registry.load_file(file)
    assert registry.papers() == {"someone2030": Path("papers/someone2030")}


def test_faults_are_errors_a_user_can_mend() -> None:
    assert issubclass(PluginError, MedrobustError)
    assert os.environ.get("MEDROBUST_DISABLE_PLUGINS", "0") in ("", "0")
