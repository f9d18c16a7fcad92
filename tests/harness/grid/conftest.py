"""Grids drawn at random from the whole grid language, with the tiny plugins and one with fields of every kind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from medrobust.grid.slices import Slice

ODD = '''
"""An attack with fields of every kind that a grid can write, and one more of a bare name that is taken."""

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from medrobust import AnyAttack, Attack, BudgetSpec, Dataset, Defense, Length, Model, Preprocessing, Preset, ThreatModel
from medrobust import hookimpl


@dataclass(frozen=True)
class Inner(Attack):
    """Stands in a field that is typed with its class; nobody offers it."""

    name: ClassVar[str] = "inner"
    revision: ClassVar[int] = 1
    threat: ClassVar[ThreatModel] = ThreatModel(norms={"linf", "l2", "l1", "l0"}, minimal=True)
    power: int = 1

    def perturb(self, classifier, images, goal, budget, rng):
        return images


@dataclass(frozen=True)
class Odd(Attack):
    name: ClassVar[str] = "odd"
    revision: ClassVar[int] = 1
    threat: ClassVar[ThreatModel] = ThreatModel(norms={"linf", "l2", "l1", "l0"}, minimal=True)
    whole: int = 3
    real: float = 0.1
    yes: bool = False
    text: str = "a, b=(c)"
    maybe: int | None = 4
    mode: Literal["first", "second"] = "first"
    share: Annotated[float, Field(ge=0)] = 0.5
    step: Length = Length(Fraction(1, 3), "eps")
    steps: tuple[Length, ...] = (Length(Fraction(1, 8), "zeta"),)
    numbers: tuple[int, ...] = ()
    pairs: tuple[tuple[int, float], ...] = ()
    names: frozenset[str] = frozenset({"b", "a"})
    table: dict[str, Any] = field(default_factory=dict)
    within: BudgetSpec = BudgetSpec.parse("l2:zeta=4% box=none slack=1/255")
    inner: Inner = Inner(2)
    unnamed: AnyAttack = Inner(3)
    several: tuple[AnyAttack, ...] = ()
    by_name: dict[str, AnyAttack] = field(default_factory=dict)

    def __hash__(self):
        return 0

    def perturb(self, classifier, images, goal, budget, rng):
        return images


@dataclass(frozen=True)
class Sign(Attack):
    """Shares its name with another plugin file's."""

    name: ClassVar[str] = "sign"
    revision: ClassVar[int] = 1
    threat: ClassVar[ThreatModel] = ThreatModel(norms={"linf"})
    batch_size: ClassVar[int | None] = 7

    def perturb(self, classifier, images, goal, budget, rng):
        return images


@hookimpl
def medrobust_attacks():
    return [Odd, Preset("odd-9", Odd, {"whole": 9, "text": "nine"}), Sign]
'''

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="@"), max_size=6)
LENGTHS = st.sampled_from(
    ["1/255", "0.02@[-1,1]", "2.55@[0,255]", ".0024 @ /128", 0.01, "eps/4", "0.3*eps", "eps", "zeta=4%", "1e-3"]
)
RADII = st.sampled_from(["1/255", "0.02@[-1,1]", "2.55@[0,255]", "0.0024@/128", "zeta=4%", "zeta=1/3%", "0", ".5"])


def _slice(text: str) -> bool:
    try:
        Slice.parse(text)
    except ValueError:
        return False
    return True


@st.composite
def slices(draw: st.DrawFn) -> str:
    """Any slice, thinned ones and those with odd shares among them."""
    bounds = st.sampled_from(["", "0%", "10%", "33.3%", "100/3%", "1/7%", "50%", "99.999%", "100%", "0", "7", "1_000"])
    text = draw(st.sampled_from(["train", "val", "test"]))
    if draw(st.booleans()):
        text += f"[{draw(bounds)}:{draw(bounds)}]"
    return text + draw(st.sampled_from(["", "", "|1", "|60"]))


SLICES = slices().filter(_slice)


def optional(fields: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """A table with any of some fields."""
    return st.fixed_dictionaries({}, optional=fields)


def _named(names: list[str], fields: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[Any]:
    """A plugin by its name alone or as a table."""
    name = st.sampled_from(names)
    return name | st.builds(lambda name, table: {"name": name, **table}, name, optional(fields))


RECIPES = optional(
    {
        "epochs": st.integers(0, 9),
        "learning_rate": st.floats(1e-6, 1, allow_subnormal=False) | st.just(1),
        "optimizer": st.sampled_from(["sgd", "adamw"]),
        "milestones": st.lists(st.integers(1, 9), max_size=3),
        "augment": st.lists(st.sampled_from(["hflip", "rotate:5"]), max_size=2),
        "select_on": SLICES | st.just("last"),
    }
)
SIZES = {"size": st.integers(8, 12), "channels": st.sampled_from([1, 3])}
DATASETS = _named(["textures", "tiny:textures"], {**SIZES, "classes": st.integers(2, 4), "multilabel": st.booleans()})


def models(checkpoint: Path) -> st.SearchStrategy[Any]:
    """Models with every kind of initial weights."""
    pretraining = st.builds(
        lambda images, more: {"pretrain_on": images, **more},
        DATASETS,
        optional({"train_set": SLICES, "recipe": RECIPES}),
    )
    init = st.sampled_from(["random", "imagenet", str(checkpoint)]) | pretraining
    return _named(["tiny-net", "tiny:tiny-net"], {"init": init, "recipe": RECIPES, "instance": st.integers(0, 3)})


DEFENSES = st.one_of(
    st.just("none"),
    _named(["blur", "tiny:blur"], {"width": st.sampled_from([1, 3])}),
    _named(["jitter"], {"amount": st.floats(0, 1)}),
    _named(["drilled"], {"rounds": st.integers(1, 4)}),
    st.just("shaken"),
)
LINF = st.one_of(
    st.sampled_from(["tiny:sign", "odd_plugins:sign"]),
    _named(["steps"], {"steps": st.integers(0, 9), "step_size": LENGTHS}),
)
"""Attacks of one image in the maximum norm."""
_VALUES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT
ODDS = _named(
    ["odd", "odd_plugins:odd"],
    {
        "whole": st.integers(-(2**40), 2**40),
        "real": st.floats(allow_nan=False, allow_infinity=False) | st.integers(0, 9),
        "yes": st.booleans(),
        "text": TEXT,
        "maybe": st.integers(0, 9),
        "mode": st.sampled_from(["first", "second"]),
        "share": st.floats(0, 1),
        "step": LENGTHS,
        "steps": st.lists(LENGTHS, max_size=3),
        "numbers": st.lists(st.integers(0, 9), max_size=3),
        # Lists of lists sweep, so that one value is a list of its own.
        "pairs": st.lists(st.tuples(st.integers(0, 9), st.floats(0, 1)).map(list), min_size=1, max_size=2).map(
            lambda value: [value]
        ),
        "names": st.lists(TEXT, max_size=3).map(lambda value: [value]),
        "table": st.dictionaries(TEXT, _VALUES, max_size=3),
        "within": st.sampled_from(["linf:1/255", "l2:min", "l1:3 slack=0", "l2:zeta=1% box=none slack=eps/100"]),
        "inner": optional({"power": st.integers(0, 9)}),
        "several": st.lists(LINF, max_size=2),
        "by_name": st.dictionaries(st.sampled_from(["a", "b"]), LINF, max_size=2),
    },
)
"""Attacks that any budget suits."""
_IMAGE = st.recursive(
    LINF,
    lambda inner: st.one_of(
        st.builds(lambda of: {"name": "halved", "of": of}, inner),
        st.builds(lambda of: {"name": "all-of", "of": of}, st.lists(LINF, min_size=1, max_size=3)),
    ),
    max_leaves=3,
)
UNIVERSAL = _named(["one-for-all"], {"passes": st.integers(1, 3)})
ATTACKS = st.one_of(_IMAGE, UNIVERSAL, st.builds(lambda of: {"name": "halved", "of": of}, UNIVERSAL), ODDS)
OPTIONS = st.sampled_from(
    ["", " box=none", " slack=1/255", " box=none slack=0.5@[0,255]", " slack=eps/9", " slack=0*eps"]
)
GOALS = st.sampled_from(["untargeted", "predicted", "target:a"])


@st.composite
def blocks(draw: st.DrawFn, checkpoint: Path) -> dict[str, Any]:
    """One `[[grid]]` table with one value on each axis."""
    nets = models(checkpoint)
    attack = draw(ATTACKS)
    odd = (attack if isinstance(attack, str) else attack["name"]).rpartition(":")[2].startswith("odd")
    norm = draw(st.sampled_from(["linf", "l2", "l1", "inf"])) if odd else "linf"
    radius = draw(RADII | st.just("min")) if odd else draw(RADII)
    block: dict[str, Any] = {
        "dataset": draw(DATASETS),
        "train_set": draw(SLICES),
        "model": draw(nets),
        "defense": draw(DEFENSES),
        "attack": attack,
        "goal": draw(GOALS),
        "budget": f"{norm}:{radius}{draw(OPTIONS)}",
        "seed": draw(st.integers(0, 2**31)),
        **draw(
            optional(
                {
                    "threads": st.integers(1, 3),
                    "split_seed": st.integers(0, 9),
                    "images": st.integers(1, 99),
                    "stop": st.sampled_from(["full", "success"]),
                    "precision": st.sampled_from(["float32", "bfloat16"]),
                }
            )
        ),
    }
    other = st.builds(lambda dataset, more: {"dataset": dataset, **more}, DATASETS, optional({"slice": SLICES}))
    for axis in ("craft_on", "evaluate_on"):
        block[axis] = draw(SLICES | other)
    own = block["dataset"] if isinstance(block["dataset"], dict) else {"name": block["dataset"]}
    patch = {
        "dataset": optional(SIZES).map(lambda sizes: {**own, **sizes}),
        "train_set": SLICES,
        "model": nets,
        "defense": DEFENSES,
        "seed": st.integers(0, 9),
        "instance": st.integers(0, 3) | st.just("other"),
    }
    block["surrogate"] = draw(optional(patch))
    return block


@pytest.fixture(scope="session")
def odd_plugins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A local plugin file with an attack that has fields of every kind."""
    file = tmp_path_factory.mktemp("plugins") / "odd_plugins.py"
    file.write_text(ODD)
    return file


@pytest.fixture(scope="session")
def any_block() -> Callable[[Path], st.SearchStrategy[dict[str, Any]]]:
    """A strategy over `[[grid]]` tables, given a checkpoint."""
    return blocks


@pytest.fixture(scope="session")
def any_slice() -> st.SearchStrategy[str]:
    """A strategy over slices."""
    return SLICES
