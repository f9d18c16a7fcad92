"""Specs: parameters are validated when the grid is read, and identity follows what they mean."""

from __future__ import annotations

import importlib.metadata
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from medrobust import Attack, Model, PluginError
from medrobust.api import Registry
from medrobust.plugins.source import source_hash
from medrobust.plugins.specs import Spec, build, nested, plain, sweeps


def spec(core: Registry, kind: str, name: str, **table: Any) -> Spec:
    return build(core.find(kind, name), table, core)


def bundling(file: Path, *, strict: bool = True) -> Registry:
    """The plugins of a file as if they were bundled."""
    Registry().load_file(file)
    registry = Registry(strict=strict)
    registry.add(sys.modules[f"medrobust_local_{file.stem}"], "medrobust", "0", bundled=True)
    return registry


def test_fields_are_the_parameters(core: Registry) -> None:
    built = spec(core, "attack", "steps", steps=7, step_size="eps/5")
    assert built.plugin.steps == 7  # type: ignore[attr-defined]
    assert built.plugin.step_size.resolve(eps=1.0) == pytest.approx(0.2)  # type: ignore[attr-defined]
    assert built.label == "steps(steps=7, step_size=eps/5)"
    assert spec(core, "attack", "steps").label == "steps"


def test_nested_tables_become_instances(core: Registry) -> None:
    built = spec(core, "attack", "halved", of={"name": "steps", "steps": 3})
    assert built.plugin.of.steps == 3  # type: ignore[attr-defined]
    assert built.label == "halved(of=steps(steps=3))"
    model = spec(core, "model", "tiny-net", recipe={"epochs": 2, "augment": ["hflip"], "learning_rate": 1})
    assert isinstance(model.plugin, Model)
    assert (model.plugin.recipe.epochs, model.plugin.recipe.augment) == (2, ("hflip",))


@pytest.mark.parametrize(
    ("kind", "name", "table", "message"),
    [
        ("attack", "steps", {"step": 3}, "attack 'steps' has no parameter 'step'; did you mean 'steps'?"),
        ("attack", "steps", {"steps": "7"}, "attack 'steps': steps: Input should be a valid integer, got '7'"),
        ("attack", "steps", {"steps": 7.5}, "steps: .*integer"),
        ("attack", "steps", {"steps": True}, "steps: .*integer"),
        ("attack", "steps", {"step_size": "a little"}, "step_size: 'a little' is not a valid length; write 1/255"),
        ("attack", "halved", {"of": "sing"}, "no attack is called 'sing'; did you mean 'sign'?"),
        (
            "attack",
            "all-of",
            {"of": ["sign", "one-for-all"]},
            "'one-for-all' is not of the kind Attack, which is needed here",
        ),
        ("attack", "halved", {"of": 3}, "expected the name of an attack or a table with `name`, got 3"),
        ("attack", "halved", {"of": {"name": "steps", "step": 3}}, "attack 'steps' has no parameter 'step'"),
        ("model", "tiny-net", {"recipe": {"epoch": 3}}, "recipe.epoch: Unexpected keyword argument"),
        ("model", "tiny-net", {"recipe": {"optimizer": "sgdd"}}, "recipe.optimizer: .*'sgd', 'adam' or 'adamw'"),
        ("model", "tiny-net", {"recipe": 3}, "recipe: "),
        ("probe", "difference", {"layers": "conv"}, "layers: .*got 'conv'"),
    ],
)
def test_a_wrong_parameter_is_named_with_what_was_expected(
    core: Registry, kind: str, name: str, table: dict[str, Any], message: str
) -> None:
    with pytest.raises(PluginError, match=message):
        spec(core, kind, name, **table)


STRANGE = """
    from dataclasses import dataclass
    from typing import ClassVar
    from medrobust import Attack, ThreatModel, hookimpl, Preset

    @dataclass(frozen=True)
    class Strange(Attack):
        name: ClassVar[str] = "strange"
        threat: ClassVar[ThreatModel] = ThreatModel(norms={"linf"})
        size: int
        power: int = 1

        def __post_init__(self):
            if self.power > 5:
                raise ValueError("power must be at most 5")
            [0, 1][self.power]  # a defect of the plugin

        def perturb(self, classifier, images, goal, budget, rng):
            return images  # nothing

    @hookimpl
    def medrobust_attacks():
        return [Strange, Preset("strange-3", Strange, {"size": 3})]
"""


@pytest.fixture
def strange(tmp_path: Path) -> Registry:
    file = tmp_path / "strange_file.py"
    file.write_text(dedent(STRANGE))
    registry = Registry(strict=True)
    registry.load_file(file)
    return registry


@pytest.mark.parametrize(
    ("name", "table", "message"),
    [
        ("strange", {}, "attack 'strange': size: Field required"),
        ("strange", {"size": 1, "power": 6}, "attack 'strange': power must be at most 5"),
        (
            "strange",
            {"size": 1, "power": 3},
            "attack 'strange_file:strange' cannot be created from .*IndexError: list index out of range",
        ),
        ("strange-3", {"size": 4}, "attack 'strange-3' has 'size' fixed to 3"),
    ],
)
def test_a_plugins_own_checks_speak_to_the_user(
    strange: Registry, name: str, table: dict[str, Any], message: str
) -> None:
    with pytest.raises(PluginError, match=message):
        build(strange.find("attack", name), table, strange)


def test_a_preset_fixes_its_fields_and_hides_them(strange: Registry) -> None:
    built = build(strange.find("attack", "strange-3"), {}, strange)
    assert built.plugin.size == 3  # type: ignore[attr-defined]
    assert built.label == "strange-3"


def test_lists_sweep_unless_the_field_is_a_sequence(core: Registry) -> None:
    steps = core.find("attack", "steps")
    both = list(sweeps(steps, {"steps": [1, 2], "step_size": ["eps/2", "eps"]}, core))
    assert both == [
        {"steps": 1, "step_size": "eps/2"},
        {"steps": 1, "step_size": "eps"},
        {"steps": 2, "step_size": "eps/2"},
        {"steps": 2, "step_size": "eps"},
    ]
    difference = core.find("probe", "difference")
    assert list(sweeps(difference, {"layers": ["a", "b"]}, core)) == [{"layers": ["a", "b"]}]
    assert list(sweeps(difference, {"layers": [["a"], ["a", "b"], []]}, core)) == [
        {"layers": ["a"]},
        {"layers": ["a", "b"]},
        {"layers": []},
    ]


def test_sweeps_reach_into_nested_tables(core: Registry) -> None:
    halved = core.find("attack", "halved")
    swept = list(sweeps(halved, {"of": ["sign", {"name": "steps", "steps": [1, 2]}]}, core))
    assert [t["of"] for t in swept] == ["sign", {"name": "steps", "steps": 1}, {"name": "steps", "steps": 2}]
    net = core.find("model", "tiny-net")
    recipes = list(sweeps(net, {"recipe": {"epochs": [1, 2], "augment": ["hflip"]}, "instance": [0, 1]}, core))
    assert len(recipes) == 4
    assert recipes[0] == {"recipe": {"epochs": 1, "augment": ["hflip"]}, "instance": 0}


def test_identity_follows_the_meaning_of_a_parameter(core: Registry) -> None:
    same = [{"step_size": "0.02@[-1,1]"}, {"step_size": 0.01}, {"step_size": "1/100"}]
    assert len({str(spec(core, "attack", "steps", **t).fields) for t in same}) == 1
    assert spec(core, "attack", "steps", steps=4).fields == spec(core, "attack", "steps").fields
    other = [{"steps": 5}, {"step_size": "eps/5"}, {}]
    assert len({str(spec(core, "attack", "steps", **t).fields) for t in other}) == 3


def test_identity_holds_origin_class_and_source(core: Registry) -> None:
    fields = spec(core, "attack", "steps").fields
    assert fields["plugin"] == "tiny:steps"
    assert (fields["class"], fields["source"]) == ("medrobust_local_tiny.Steps", "r1")


LIBRARIES = """
    import importlib.metadata
    from dataclasses import dataclass
    from typing import ClassVar
    from medrobust import Attack, ThreatModel

    @dataclass(frozen=True)
    class Base(Attack):
        name: ClassVar[str] = "leaning"
        threat: ClassVar[ThreatModel] = ThreatModel(norms={"linf"})
        libraries: ClassVar[tuple[str, ...]] = ("numpy",)

        def perturb(self, classifier, images, goal, budget, rng):
            return images

    @dataclass(frozen=True)
    class Leaning(Base):
        name: ClassVar[str] = "leaning-more"
        libraries: ClassVar[tuple[str, ...]] = ("pluggy",)
"""


def test_versions_of_libraries_that_a_plugin_names_belong_to_it(core: Registry, tmp_path: Path) -> None:
    file = tmp_path / "leaning_file.py"
    file.write_text(dedent(LIBRARIES))
    registry = Registry(strict=True)
    registry.load_file(file)
    numpy, pluggy = (importlib.metadata.version(name) for name in ("numpy", "pluggy"))
    assert build(registry.find("attack", "leaning"), {}, registry).fields["libraries"] == {"numpy": numpy}
    more = build(registry.find("attack", "leaning-more"), {}, registry)
    assert more.fields["libraries"] == {"numpy": numpy, "pluggy": pluggy}
    assert "libraries" not in spec(core, "attack", "steps").fields


def test_labels_tell_plugins_of_one_name_apart(tiny: Path, tmp_path: Path) -> None:
    file = tmp_path / "clash.py"
    code = STRANGE.replace('"strange"', '"sign"').replace("strange-3", "other")
    file.write_text(dedent(code.replace("size: int\n", "size: int = 1\n")))
    registry = bundling(tiny, strict=False)  # a name that is taken is a fault
    registry.load_file(file)
    assert build(registry.find("attack", "sign"), {}, registry).label == "sign"
    clash = build(registry.find("attack", "clash:sign"), {"size": 2}, registry)
    assert (clash.label, clash.name) == ("clash:sign(size=2)", "clash:sign(size=2)")
    halved = registry.find("attack", "halved")
    inside = [build(halved, {"of": name}, registry) for name in ("sign", "clash:sign", "clash:other")]
    assert [i.label for i in inside] == ["halved", "halved(of=clash:sign)", "halved(of=other)"]
    # Equal names and revisions of two distributions are two plugins, inside another one too.
    assert len({i.canonical for i in inside}) == 3


def test_an_alias_is_the_label_and_not_the_name(core: Registry) -> None:
    built = build(core.find("model", "tiny-net"), {}, core, "net")
    again = built.replaced(core, instance=3)
    assert (again.label, again.name, again.plugin.instance) == ("net", "tiny-net(instance=3)", 3)  # type: ignore[attr-defined]


def test_nested_gives_the_contract_that_is_asked_for(core: Registry) -> None:
    assert nested(Attack, "sign", core).plugin.name == "sign"
    with pytest.raises(PluginError, match="expected the name of a model"):
        nested(Model, None, core)


SOURCE = '''
    """A module."""
    from dataclasses import dataclass
    from typing import ClassVar
    from medrobust import Attack, ThreatModel

    # A comment.
    @dataclass(frozen=True)
    class Edited(Attack):
        """A class."""

        name: ClassVar[str] = "edited"
        threat: ClassVar[ThreatModel] = ThreatModel(norms={"linf"})

        def perturb(self, classifier, images, goal, budget, rng):
            """A function."""
            return images + helper()

    def helper():
        return 0
'''


def hash_of(tmp_path: Path, number: int, code: str) -> str:
    file = tmp_path / f"edited_{number}.py"
    file.write_text(dedent(code))
    registry = Registry(strict=True)
    registry.load_file(file)
    offer = registry.find("attack", "edited")
    assert plain(build(offer, {}, registry).plugin)["source"] == source_hash(offer.plugin)
    return source_hash(offer.plugin)


def test_comments_docstrings_and_layout_do_not_count(tmp_path: Path) -> None:
    original = hash_of(tmp_path, 0, SOURCE)
    edits = [
        SOURCE.replace("# A comment.", "# Another comment."),
        SOURCE.replace("A module.", "This module."),
        SOURCE.replace("A class.", "Its class."),
        SOURCE.replace('"""A function."""', '"""Does\n            something."""'),
        SOURCE.replace("images + helper()", "(images\n                + helper())"),
    ]
    assert {hash_of(tmp_path, i, e) for i, e in enumerate(edits, 1)} == {original}


def test_every_edit_of_code_takes_effect(tmp_path: Path) -> None:
    edits = [
        SOURCE,
        SOURCE.replace("images + helper()", "images - helper()"),
        SOURCE.replace("return 0", "return 1"),
        SOURCE.replace('{"linf"}', '{"linf", "l2"}'),
    ]
    assert len({hash_of(tmp_path, i, e) for i, e in enumerate(edits)}) == len(edits)


def test_a_declared_revision_stands_for_the_source(tmp_path: Path) -> None:
    revised = SOURCE.replace('"edited"', '"edited"\n        revision: ClassVar[int] = 3')
    assert hash_of(tmp_path, 0, revised) == "r3"
    assert hash_of(tmp_path, 1, revised.replace("return 0", "return 1")) == "r3"
