"""A rule that plugins keep, and what became of it for one of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ..plugins.registered import cause_of
from ..plugins.tracebacks import show

Verdict = Literal["kept", "broken", "left out"]


class Broken(AssertionError):  # noqa: N818 - a verdict
    """A plugin breaks a rule; the message says how, with numbers."""


class LeftOut(Exception):  # noqa: N818 - no error: the rule does not concern the plugin
    """A rule does not concern a plugin, or cannot be checked here; the message says why."""


@dataclass(frozen=True)
class Rule:
    """One thing that holds for all plugins of a kind.

    Attributes:
        name: in a few words, such as `budget`.
        text: what holds.
        check: raises `Broken` or `LeftOut`; whatever else it raises is the plugin's own error.
    """

    name: str
    text: str
    check: Callable[[Any], None]


@dataclass(frozen=True)
class Outcome:
    """What became of a rule for one plugin.

    Attributes:
        rule: the rule.
        verdict: `kept`, `broken`, or `left out` because it does not concern the plugin or cannot be checked here.
        reason: how it is broken, or why it is left out.
    """

    rule: Rule
    verdict: Verdict
    reason: str = ""


def rule(name: str) -> Callable[[Callable[[Any], None]], Rule]:
    """Makes a rule of a function, whose docstring says what holds."""

    def make(check: Callable[[Any], None]) -> Rule:
        return Rule(name, " ".join((check.__doc__ or "").split()).rstrip("."), check)

    return make


def apply(one: Rule, case: Any) -> Outcome:
    """A rule and a plugin."""
    try:
        one.check(case)
    except Broken as broken:
        return Outcome(one, "broken", str(broken))
    except LeftOut as reason:
        return Outcome(one, "left out", str(reason))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a stranger's code may raise anything
        show(error)
        return Outcome(one, "broken", f"raised {cause_of(error)}")
    return Outcome(one, "kept")


def named(names: Sequence[str], most: int = 3) -> str:
    """The first of some names, and how many more there are."""
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")
