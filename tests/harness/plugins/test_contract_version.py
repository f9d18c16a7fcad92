"""The version of the plugin contract: a plugin of the last one loads, one of another time is told what has changed."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

import medrobust
from medrobust import Plugin, PluginError
from medrobust.api import Registry
from medrobust.plugins import contract_version, declared, hookspecs
from medrobust.plugins.contract_version import CHANGES, CONTRACT, OLDEST

KEPT = Path(__file__).with_name("contract.txt")
ATTACK = """
    from dataclasses import dataclass
    from typing import ClassVar
    from medrobust import Attack, ThreatModel

    MEDROBUST_CONTRACT = 1

    @dataclass(frozen=True)
    class Mine(Attack):
        \"\"\"My attack.\"\"\"

        name: ClassVar[str] = "mine"
        threat: ClassVar[ThreatModel] = ThreatModel(norms={"linf"})

        def perturb(self, classifier, images, goal, budget, rng):
            return images
"""


@pytest.fixture
def second(monkeypatch: pytest.MonkeyPatch) -> None:
    """A medrobust whose contract has changed twice, and which still takes the last one."""
    monkeypatch.setattr(contract_version, "CONTRACT", 3)
    monkeypatch.setattr(contract_version, "OLDEST", 2)
    changes = {1: "the first version", 2: "`perturb` was `attack`", 3: "`rng` was `generator`"}
    monkeypatch.setattr(contract_version, "CHANGES", changes)


def written(tmp_path: Path, code: str) -> Path:
    file = tmp_path / "mine.py"
    file.write_text(dedent(code))
    return file


def loaded(file: Path) -> Registry:
    registry = Registry()
    registry.load_file(file)
    return registry


def test_a_plugin_of_this_version_loads(tmp_path: Path) -> None:
    assert loaded(written(tmp_path, ATTACK)).find("attack", "mine")


@pytest.mark.usefixtures("second")
def test_a_plugin_of_the_last_version_loads_too(tmp_path: Path) -> None:
    assert loaded(written(tmp_path, ATTACK.replace("= 1", "= 2"))).find("attack", "mine")


@pytest.mark.usefixtures("second")
def test_an_older_one_is_told_what_has_changed_before_it_is_imported(tmp_path: Path) -> None:
    code = ATTACK + "\n    raise RuntimeError('imported')\n"
    with pytest.raises(PluginError) as told:
        loaded(written(tmp_path, code))
    assert str(told.value).endswith(
        "was written for version 1 of the plugin contract, of which this medrobust takes versions 2 to 3. "
        "Since version 1: 2: `perturb` was `attack`; 3: `rng` was `generator`. Update it, or report it to its authors."
    )


@pytest.mark.usefixtures("second")
def test_what_is_wrong_with_one_of_the_last_version_comes_with_what_has_changed(tmp_path: Path) -> None:
    registry = loaded(written(tmp_path, ATTACK.replace("= 1", "= 2").replace("def perturb", "def attack")))
    (fault,) = registry.faults
    assert "does not implement perturb" in str(fault)
    assert str(fault).endswith("Since version 2: 3: `rng` was `generator`.")


@pytest.mark.parametrize(
    ("declaration", "told"),
    [
        ("= 99", "was written for version 99 of the plugin contract, and this medrobust has version"),
        (": int = 99", "Update medrobust (pip install -U medrobust)"),
        ("= '1'", "MEDROBUST_CONTRACT is '1'. Write the version as a number"),
        ("= current()", "MEDROBUST_CONTRACT is 'current()'"),
        ("= 0", "MEDROBUST_CONTRACT is 0"),
    ],
)
def test_a_version_that_there_is_not_is_refused(tmp_path: Path, declaration: str, told: str) -> None:
    with pytest.raises(PluginError) as error:
        loaded(written(tmp_path, ATTACK.replace("= 1", declaration, 1)))
    assert told in str(error.value)


@pytest.mark.parametrize("code", ["", "x = (", "import nowhere_at_all"])
def test_what_declares_nothing_counts_as_of_today(tmp_path: Path, code: str) -> None:
    assert declared.of_file(written(tmp_path, code)) == CONTRACT


def test_an_entry_point_is_answered_as_a_file_is(site: Any) -> None:
    site.install("early", ATTACK.replace("= 1", "= 99"))
    registry = Registry.discover()
    (fault,) = (fault for fault in registry.faults if fault.distribution == "early")
    assert str(fault).startswith("early 1.2: entry point 'plugins' (early): was written for version 99")


def test_every_version_says_what_has_changed() -> None:
    assert sorted(CHANGES) == list(range(1, CONTRACT + 1))
    assert 1 <= OLDEST <= CONTRACT


def contract() -> list[str]:
    """What plugins rest on: names, methods to implement and to override with their parameters, hooks."""
    stub = ast.parse(Path(medrobust.__file__).with_suffix(".pyi").read_text(encoding="utf-8"))
    (names,) = (ast.literal_eval(node.value) for node in stub.body if isinstance(node, ast.Assign))
    lines = [f"name {name}" for name in names]
    lines += [f"hook {name}" for name in vars(hookspecs) if name.startswith("medrobust_")]
    for name in names:
        cls = getattr(medrobust, name)
        if isinstance(cls, type) and issubclass(cls, Plugin):
            methods = {key: value for key, value in vars(cls).items() if inspect.isfunction(value)}
            lines += [
                f"method {name}.{key}({', '.join(inspect.signature(value).parameters)})"
                for key, value in methods.items()
                if not key.startswith("_")
            ]
    return sorted(lines)


def test_nothing_that_plugins_rest_on_goes_without_a_new_version() -> None:
    """To add to the contract, write `contract()` to contract.txt; to take from it, raise CONTRACT as well."""
    head, *kept = KEPT.read_text(encoding="utf-8").splitlines()
    gone = sorted(set(kept) - set(contract()))
    assert gone == [], "raise CONTRACT, say what has changed in CHANGES, and write contract.txt anew"
    assert head == f"version {CONTRACT}"
    assert sorted(set(contract()) - set(kept)) == [], "add these lines to contract.txt"
