"""`medrobust plugins`: a short list, and a page that says all of one plugin."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import pytest
from pydantic import Field
from torch import Tensor

from medrobust import Attack, Budget, Classifier, Goal, Length, Recipe, SampleRNG, ThreatModel
from medrobust.api import Registry
from medrobust.plugins.description import example, in_words
from medrobust.plugins.docstrings import read
from medrobust.plugins.parameters import parameters_of
from medrobust.plugins.specs import build

Program = Callable[..., Any]
EIGHTH = Length.parse("eps/8")


@dataclass(frozen=True)
class Base(Attack):
    """Something general.

    Attributes:
        shared: told by the base class.
    """

    threat: ClassVar[ThreatModel] = ThreatModel(norms={"l2"}, knowledge="score-based", queries=9, minimal=True)
    shared: float = 0.5

    def perturb(self, classifier: Classifier, images: Tensor, goal: Goal, budget: Budget, rng: SampleRNG) -> Tensor:
        return images


@dataclass(frozen=True)
class Documented(Base):
    """First line.

    A paragraph over
    two lines, with a :class:`Length`.

    Attributes:
        mode: `a` or
            `b: c`, whichever.
        step: how far.
    """

    name: ClassVar[str] = "documented"
    mode: Literal["a", "b"] = "a"
    step: Length = EIGHTH
    count: Annotated[int, Field(ge=1)] = 3
    parts: tuple[str, ...] = ("x", "y")
    recipe: Recipe = Recipe(epochs=3)  # noqa: RUF009 - frozen
    maybe: int | None = None


def test_a_docstring_is_read_in_its_parts() -> None:
    found = read(Documented)
    assert found.paragraphs == ("First line.", "A paragraph over two lines, with a Length.")
    assert found.parameters == {
        "shared": "told by the base class.",
        "mode": "`a` or `b: c`, whichever.",
        "step": "how far.",
    }

    @dataclass(frozen=True)
    class Silent(Base):
        name: ClassVar[str] = "silent"

    assert read(Silent).paragraphs == ()


def test_parameters_are_told_as_a_grid_writes_them() -> None:
    told = {p.name: (p.type, p.default) for p in parameters_of(Documented, ("count",))}
    keys = told["recipe"][0].removeprefix("table with ").split(", ")
    assert {"learning_rate", "epochs"} <= set(keys)
    assert told == {
        "shared": ("number", "0.5"),
        "mode": ('"a" or "b"', '"a"'),
        "step": ("length", '"eps/8"'),
        "parts": ("list of texts", '["x", "y"]'),
        "recipe": (told["recipe"][0], "{ epochs = 3 }"),
        "maybe": ("whole number", "none"),
    }


def test_a_threat_model_in_words() -> None:
    assert in_words(Documented.threat) == (
        "Norms l2; goals untargeted, targeted; uses the model's outputs only (score-based); multiclass and multilabel "
        "labels; can search for the smallest perturbation (budget NORM:min); at most 9 forward passes per image."
    )


def test_every_example_is_a_line_of_a_grid_that_can_be_read() -> None:
    registry = Registry.discover()
    offers = [o for o in registry.offers() if o.kind in ("dataset", "model", "attack", "defense", "probe")]
    assert len(offers) > 100
    for offer in offers:
        parameters = list(parameters_of(offer.plugin, tuple(dict(offer.preset))))
        lines = example(offer, parameters)
        table = tomllib.loads("\n".join(lines))
        assert list(table) == [offer.kind, "budget"][: len(lines)]
        value = table[offer.kind] if isinstance(table[offer.kind], dict) else {"name": table[offer.kind]}
        found = registry.find(offer.kind, value.pop("name"))
        assert found is offer
        assert type(build(found, value, registry).plugin) is offer.plugin


def test_the_list_is_short_and_fits(program: Program) -> None:
    shown = program("plugins")
    lines = shown.out.splitlines()
    assert max(map(len, lines)) <= 100
    for heading in ("datasets", "models", "attacks", "defenses", "probes"):
        assert heading in lines
    # One name and its first sentence; another distribution's name says where it comes from.
    start = lines.index("attacks")
    listed = lines[start + 1 : lines.index("", start)]
    (line,) = [row for row in listed if row.startswith("  tiny:sign ")]
    assert line.split(maxsplit=1)[1].startswith("One step of length eps along the sign of the gradient")
    assert not any(word in shown.out for word in ("steps=", "│", "local file"))
    # Eighty names of one class are one paragraph.
    models = lines[lines.index("models") : lines.index("attacks")]
    assert len(models) < 35
    assert "resnet18" in " ".join(models)
    assert program("plugins", "--kind", "probe").out.splitlines()[0] == "probes"


def test_a_page_says_all_of_a_plugin(program: Program) -> None:
    page = program("plugins", "steps").out
    lines = page.splitlines()
    assert lines[0] == "steps  (attack)"
    assert "Several signed steps from a random point." in lines
    assert "  steps: whole number, default 4; values of one sweep share a run" in lines
    assert '  step_size: length, default "eps/4"' in lines
    assert "    length of a step." in lines
    assert "Threat model" in lines
    assert "  tiny local file; its unambiguous name is tiny:steps" in lines
    assert lines[-2:] == [
        '  attack = { name = "tiny:steps", steps = 4, step_size = "eps/4" }',
        '  budget = "linf:4/255"',
    ]
    data = program("plugins", "tiny:textures").out
    assert "To cite\n  N. Nobody: Textures from nowhere. Nowhere, 2024\n" in data
    assert "Licence\n  CC0" in data
    required = program("plugins", "all-of").out
    assert "of: list of attacks, required" in required


def test_a_preset_shows_what_it_fixes(program: Program) -> None:
    page = program("plugins", "resnet18").out
    assert "Fixed by this name\n  architecture = resnet18\n" in page
    assert "  architecture:" not in page
    assert 'model = { name = "resnet18"' in page
    assert "optimizer, learning_rate" in " ".join(page.split())


def test_json_stays_complete(program: Program) -> None:
    (one,) = json.loads(program("plugins", "halved", "--json").out)
    assert one["parameters"].keys() == {"of"}
    assert (one["kind"], one["distribution"]) == ("attack", "tiny")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("fsgm",), "no plugin is called 'fsgm'; did you mean 'fgsm'?. 'medrobust plugins' lists all"),
        (("fsgm", "--kind", "attack"), "no attack is called 'fsgm'; did you mean 'fgsm'?"),
        (("--kind", "atack"), "no kind is called 'atack'; did you mean 'attack'?"),
    ],
)
def test_a_wrong_name_is_answered_with_the_nearest(
    program: Program, arguments: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    done = program("plugins", *arguments)
    assert done.status == 1
    assert message in done.err


CLASH = '''
from dataclasses import dataclass
from typing import ClassVar
from medrobust import Attack, ThreatModel


@dataclass(frozen=True)
class Own(Attack):
    """Somebody's own FGSM."""

    name: ClassVar[str] = "fgsm"
    threat: ClassVar[ThreatModel] = ThreatModel(norms={"linf"})

    def perturb(self, classifier, images, goal, budget, rng):
        return images
'''
NOTE = (
    "note: clash local file: plugin fgsm: 'fgsm' alone means the attack that comes with medrobust. "
    "Write 'clash:fgsm' in grids, or let its authors rename it."
)


def test_a_bundled_name_is_told_by_every_command_that_loads_it(program: Program, tmp_path: Path, tiny: Path) -> None:
    (tmp_path / "clash.py").write_text(CLASH)
    files = (tiny, tmp_path / "clash.py")
    (tmp_path / "grid.toml").write_text(
        '[[grid]]\ndataset = "textures"\nmodel = "tiny-net"\nattack = "clash:fgsm"\nbudget = "linf:1/255"\n'
    )
    for words in (("plugins",), ("plugins", "fgsm"), ("plan", "grid.toml")):
        assert program(*words, plugins=files).err.splitlines() == [NOTE]
