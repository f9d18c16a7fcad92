"""Plugin classes from the signatures of a library."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal, Union

import numpy as np
import pytest

from medrobust import Attack, PluginError, ThreatModel, adapted, arguments
from medrobust.plugins.checks import problems_of
from medrobust.plugins.docstrings import read
from medrobust.plugins.hints import hints_of

RULE = Union[Literal["a"], Literal["b"]]  # noqa: UP007 - as libraries write it


@dataclass(frozen=True)
class Base(Attack):
    """What does the calling."""

    threat: ClassVar[ThreatModel] = ThreatModel(norms={"linf"})

    def perturb(self, classifier, images, goal, budget, rng):  # type: ignore[no-untyped-def]
        return images


class Library:
    """Does something strange. [#ref]_

    Args:
        steps : Number of steps,
            at least one.
        share (float): of the whole.

    References:
        .. [#ref] Somebody.
    """

    def __init__(
        self,
        model: Any,
        steps: int = 5,
        share: float = 1,
        plain=0.5,  # type: ignore[no-untyped-def]
        rule: RULE = "a",
        size: float | None = None,
        norm: int | float | np.ndarray = 2,
        sides: tuple[int, int] = (3, 4),
        names: list[str] | None = None,
        change: Callable[[int], int] | None = None,
        batch_size: int = 1,
    ) -> None:
        """
        :param norm: which norm
                     it is.
        :type norm: int
        """


def made(**options: Any) -> Any:
    return adapted(Base, Library, __name__, given=("model",), renamed={"batch_size": "batch"}, **options)


def test_parameters_become_fields_with_their_types_and_defaults() -> None:
    cls = made()
    hints = hints_of(cls)
    assert {f.name: (hints[f.name], f.default) for f in fields(cls)} == {
        "steps": (int, 5),
        "share": (float, 1.0),
        "plain": (float, 0.5),
        "rule": (RULE, "a"),
        "size": (float | None, None),
        "norm": (float, 2.0),
        "sides": (tuple[int, int], (3, 4)),
        "names": (tuple[str, ...] | None, None),
        "batch": (int, 1),
    }
    assert problems_of(cls) == []
    assert (cls.name, cls.__module__) == ("Library", __name__)


def test_docstrings_are_those_of_the_library() -> None:
    told = read(made())
    assert told.paragraphs == ("Does something strange.",)
    assert told.parameters == {
        "steps": "Number of steps, at least one.",
        "share": "of the whole.",
        "norm": "which norm it is.",
    }


def test_the_library_is_called_with_what_the_fields_say() -> None:
    called = arguments(made()(steps=7))
    assert called == {
        "steps": 7, "share": 1, "plain": 0.5, "rule": "a", "size": None, "norm": 2, "sides": (3, 4), "names": None,
        "batch_size": 1,
    }  # fmt: skip
    assert type(called["share"]) is int  # as the library writes it


def test_fields_of_ones_own_take_the_place_of_parameters() -> None:
    cls = made(fields={"steps": (Literal[1, 2], 1), "batch_size": (int, 32), "more": (float, 0.25)}, summary="Mine.")
    values = {f.name: f.default for f in fields(cls)}
    assert (values["steps"], values["batch"], values["more"]) == (1, 32, 0.25)
    assert arguments(cls())["batch_size"] == 32
    assert "more" not in arguments(cls())
    assert read(cls).paragraphs == ("Mine.",)


def test_what_a_grid_cannot_give_is_told() -> None:
    def needy(model: Any, attacker: np.ndarray) -> None: ...

    with pytest.raises(PluginError, match=r"needs `attacker` \(np.ndarray\), which a grid cannot give"):
        adapted(Base, needy, __name__, given=("model",))
