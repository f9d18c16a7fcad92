"""Mistakes in a plugin class are found when it is loaded: what is wrong, in which line, and what would be right."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from medrobust import PluginError
from medrobust.api import Registry

BASE = """
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal
from medrobust import *
from medrobust import Length, BudgetSpec, Recipe, hookimpl

"""
ATTACK = """
@dataclass(frozen=True)
class Mine(Attack):
    name: ClassVar[str] = "mine"
    threat: ClassVar[ThreatModel] = ThreatModel(norms={"linf"})
    FIELD

    def perturb(self, classifier, images, goal, budget, rng):
        return images
"""
DATA = """
@dataclass(frozen=True)
class Mine(Dataset):
    name: ClassVar[str] = "mine"

    def describe(self, source):
        return None

    def load(self, split, source):
        return None
"""


def attack(field: str) -> str:
    return ATTACK.replace("FIELD", field)


def complaints(folder: Path, code: str) -> list[str]:
    """What is said of the plugins in a file."""
    file = folder / "mine_file.py"
    names = "import Annotated, Attack, AnyAttack, Count, Dataset, Defense, DerivedAttack, IterativeAttack, Model, "
    names += "Preprocessing, Probe, SampleRNG, ThreatModel, UniversalAttack, cumulative"
    file.write_text(BASE.replace("import *", names.replace("Annotated, ", "")) + dedent(code))
    registry = Registry()
    registry.load_file(file)
    return [str(fault) for fault in registry.faults]


def line_of(folder: Path, text: str) -> str:
    """`mine_file.py:12`, the line with a text."""
    lines = (folder / "mine_file.py").read_text().splitlines()
    return f"mine_file.py:{1 + next(i for i, line in enumerate(lines) if text in line)}"


DEFAULTS = {
    'step_size: Length = "eps/4"': (
        "`step_size` has the default 'eps/4'; it must be a Length: write Length.parse('eps/4')"
    ),
    "step_size: Length = 0.25": "write Length.parse(0.25)",
    'budget: BudgetSpec = "linf:1/255"': "write BudgetSpec.parse('linf:1/255')",
    "steps: int = 1.5": "`steps` has the default 1.5; it must be a whole number",
    "steps: Count = 0": "`steps` has the default 0; it must be at least 1",
    "rate: float = 'high'": "`rate` has the default 'high'; it must be a number",
    "random_start: bool = 1": "it must be true or false",
    'mode: Literal["fast", "slow"] = "fats"': 'it must be "fast" or "slow"; did you mean \'fast\'?',
    "steps: int = None": "`steps` has the default None; it must be a whole number",
    'layers: tuple[str, ...] = "head"': "it must be a tuple such as ('a', 'b') or ('a',)",
    "layers: tuple[int, ...] = (1, 2.5)": "of its item 2.5: it must be a whole number",
    'of: AnyAttack = "fgsm"': "it must be an instance of a class derived from AnyAttack",
    "recipe: Recipe = Recipe(epochs=-1)": "of its field epochs: it must be at least 0",
    "layers: list[str] = field(default_factory=list)": "is a list, which can change; declare it tuple[str, ...]",
    "names: set[str]": "`names` is a set, which can change; declare it frozenset[str]",
    "table: dict = field(default_factory=dict)": "`table` is a dict, which can change; declare it a type whose values",
    "licence: str = 'MIT'": "has a field 'licence', a name that medrobust uses itself; annotate it as ClassVar",
    "source: int = 1": "has a field 'source', a name that medrobust uses itself; rename it",
}


@pytest.mark.parametrize("field", DEFAULTS)
def test_a_default_that_does_not_fit_its_type(tmp_path: Path, field: str) -> None:
    (told,) = complaints(tmp_path, attack(field))
    assert DEFAULTS[field] in told
    assert told.startswith(f"mine_file local file: plugin Mine ({line_of(tmp_path, field)}): ")


@pytest.mark.parametrize(
    "field",
    [
        "steps: Count = 1",
        "rate: float = 1",
        "rate: float | None = None",
        'step_size: Length = Length.parse("eps/4")',
        'mode: Literal["fast", "slow"] = "slow"',
        "layers: tuple[str, ...] = ()",
        "recipe: Recipe = Recipe(epochs=0)",
        "required: int",
        "anything: object = ()",
        "table: dict = field(default_factory=dict)\n\n    def __hash__(self):\n        return 0",
    ],
)
def test_a_default_that_fits(tmp_path: Path, field: str) -> None:
    assert complaints(tmp_path, attack(field)) == []


THREATS = {
    'norms={"L-inf"}': "the unknown norm 'L-inf'; did you mean 'linf'? (valid: linf, l2, l1, l0, unbounded)",
    'norms={"linf", "l3"}': "the unknown norm 'l3'; valid: l0, l1, l2, linf",
    'norms={"linf"}, goals={"untargetted"}': "the unknown goal 'untargetted'; did you mean 'untargeted'?",
    'norms={"linf"}, tasks={"multi-class"}': "the unknown task 'multi-class'; did you mean 'multiclass'?",
    'norms={"linf"}, knowledge="whitebox"': "the unknown knowledge 'whitebox'; did you mean 'white-box'?",
    'norms="linf"': "norms = 'linf'; write a set, such as {'linf'}",
    "norms=set()": "names no norm; valid: linf, l2, l1, l0, unbounded",
    'norms={"linf"}, queries=0': "queries = 0; it must be a whole number of at least 1, or None",
    'norms={"linf"}, minimal="yes"': "minimal = 'yes'; it must be true or false",
}


@pytest.mark.parametrize("threat", THREATS)
def test_a_threat_model_that_no_grid_can_match(tmp_path: Path, threat: str) -> None:
    (told,) = complaints(tmp_path, attack("").replace('norms={"linf"}', threat))
    assert THREATS[threat] in told
    assert f"plugin Mine ({line_of(tmp_path, 'threat: ')}): its threat model" in told


SIGNATURES = {
    "self, classifier, images, goal, budget": "`perturb` lacks `rng`; write def perturb(self, classifier, images, goal",
    "self, images, classifier, goal, budget, rng": "`perturb` has its parameters in another order; write def perturb(",
    "self, classifier, images, labels, budget, rng": "lacks `goal` and has `labels`, which it is not given; write def",
    "self, classifier, images, goal, budget, rng, steps": "has `steps`, which it is not given",
    "self, classifier, images, goal, budget, rng, *, steps": "has `steps`, which it is not given",
    "classifier, images, goal, budget, rng": "lacks `classifier`",
    "self": "lacks `classifier`, `images`, `goal`, `budget`, `rng`",
}


@pytest.mark.parametrize("parameters", SIGNATURES)
def test_a_method_that_cannot_take_what_the_host_gives(tmp_path: Path, parameters: str) -> None:
    code = attack("").replace("self, classifier, images, goal, budget, rng", parameters)
    (told,) = complaints(tmp_path, code)
    assert SIGNATURES[parameters] in told
    assert f"plugin Mine ({line_of(tmp_path, 'def perturb')}): " in told


@pytest.mark.parametrize(
    "parameters",
    [
        "self, classifier, images, goal, budget, rng",
        "self, classifier, images, goal, budget, _rng",
        "self, _, images, goal, budget, rng, strength=1",
        "self, classifier, images, *rest",
        "self, classifier, images, goal, budget, rng, **options",
    ],
)
def test_a_method_that_can(tmp_path: Path, parameters: str) -> None:
    assert complaints(tmp_path, attack("").replace("self, classifier, images, goal, budget, rng", parameters)) == []


OTHER_CONTRACTS = {
    "data set": (DATA.replace("load(self, split, source)", "load(self, source)"), "`load` lacks `split`"),
    "fingerprint": (DATA + "\n    def fingerprint(self):\n        return ''\n", "`fingerprint` lacks `source`"),
    "model": (
        '@dataclass(frozen=True)\nclass Mine(Model):\n    name: ClassVar[str] = "mine"\n\n'
        "    def build(self, channels, classes):\n        return None\n",
        "`build` lacks `shape` and has `channels`, `classes`, which it is not given; write def build(self, shape)",
    ),
    "defense": (
        '@dataclass(frozen=True)\nclass Mine(Preprocessing):\n    name: ClassVar[str] = "mine"\n\n'
        "    def wrap(self):\n        return None\n",
        "`wrap` lacks `module`",
    ),
    "defense of no kind": (
        '@dataclass(frozen=True)\nclass Mine(Defense):\n    name: ClassVar[str] = "mine"\n\n'
        "    def wrap(self, module):\n        return None\n",
        "cannot be run; derive it from medrobust.Preprocessing, RandomPreprocessing or TrainingDefense",
    ),
    "attack of no kind": (
        attack("").replace("(Attack)", "(AnyAttack)"),
        "cannot be run; derive it from medrobust.Attack, Ensemble or UniversalAttack",
    ),
    "derived": (
        attack("")
        .replace("(Attack)", "(DerivedAttack)")
        .replace("perturb(self, classifier, images, goal", "derive(self, images, adversarial, goal"),
        "has no field `of`, the attack that it derives from; write `of: AnyAttack`",
    ),
    "title": (DATA + "\n    def title(self):\n        return 'x'\n", "`title` must be a property; write @property"),
    "not a method": (DATA + "\n    members = 3\n", "`members` is 3; it must be a method"),
    "licence": (
        DATA + '\n    license: ClassVar[str] = "CC0"\n',
        "defines `license`, which nothing looks at; did you mean",
    ),
    "hook": (DATA.replace("def load", "def laod"), "does not implement load (`laod` looks like it)"),
    "class variable": (
        attack("global_rng: ClassVar[bool] = 1"),
        "`global_rng` is 1; it must be true or false",
    ),
    "references": (
        DATA + '\n    references: ClassVar = "Me, 2024"\n',
        "`references` is 'Me, 2024'; it must be",
    ),
    "undecorated": (
        attack("") + '\n\nclass More(Mine):\n    name: ClassVar[str] = "more"\n    strength: int = 2\n',
        "adds `strength` without being a dataclass itself; decorate it with @dataclass(frozen=True)",
    ),
}


@pytest.mark.parametrize("mistake", OTHER_CONTRACTS)
def test_mistakes_in_other_contracts(tmp_path: Path, mistake: str) -> None:
    code, message = OTHER_CONTRACTS[mistake]
    (told,) = complaints(tmp_path, code)
    assert message in told
    assert "(mine_file.py:" in told


def test_a_cumulative_field_is_a_number_of_iterations(tmp_path: Path) -> None:
    code = (
        attack("steps: int = cumulative(1.5)").replace("(Attack)", "(IterativeAttack)").replace("perturb", "iterates")
    )
    (told,) = complaints(tmp_path, code)
    assert "`steps` is cumulative with the default 1.5; it must be a whole number" in told


def test_every_mistake_of_a_class_has_its_line(tmp_path: Path) -> None:
    code = attack("steps: int = 1.5").replace('{"linf"}', '{"L2"}').replace(", rng)", ")")
    told = complaints(tmp_path, code)
    assert [line.partition("(")[2].partition(")")[0] for line in told] == [
        line_of(tmp_path, text) for text in ("threat: ", "steps: ", "def perturb")
    ]


def test_a_mistake_of_a_base_class_is_told_in_its_line(tmp_path: Path) -> None:
    code = attack("steps: int = 1.5").replace('name: ClassVar[str] = "mine"', "")
    code += '\n\n@dataclass(frozen=True)\nclass Own(Mine):\n    name: ClassVar[str] = "own"\n'
    (told,) = complaints(tmp_path, code)
    assert f"plugin Own ({line_of(tmp_path, 'steps: ')}): `steps` has the default 1.5" in told


def test_an_instance_is_no_class(tmp_path: Path) -> None:
    code = attack("") + "\n\n@hookimpl\ndef medrobust_attacks():\n    return [Mine()]\n"
    (told,) = complaints(tmp_path, code)
    assert "is an instance; return the class itself, Mine and not Mine()" in told


@pytest.mark.parametrize(
    ("hook", "message"),
    [
        ("def medrobust_attacks():\n    return [Mine]", "function 'medrobust_attacks': is not marked as a hook"),
        ("def medrobust_atacks():\n    return [Mine]", "call it medrobust_attacks and write @hookimpl above it"),
        ("@hookimpl\ndef medrobust_atacks():\n    return [Mine]", "no such hook; did you mean 'medrobust_attacks'?"),
        ("@hookimpl\ndef medrobust_attacks():\n    return Mine", "it must return a list of plugin classes"),
        ("@hookimpl\ndef medrobust_papers():\n    return 3", "returned 3; it must return a list of paths"),
    ],
)
def test_hooks_that_nothing_calls_or_understands(tmp_path: Path, hook: str, message: str) -> None:
    (told,) = complaints(tmp_path, f"{attack('')}\n\n{hook}\n")
    assert message in told


def test_strict_stops_at_the_first_mistake(tmp_path: Path) -> None:
    complaints(tmp_path, attack("steps: int = 1.5"))
    with pytest.raises(PluginError, match=r"mine_file\.py:\d+\): `steps` has the default 1\.5"):
        Registry(strict=True).load_file(tmp_path / "mine_file.py")
