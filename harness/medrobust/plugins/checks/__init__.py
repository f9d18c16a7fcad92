"""What makes a class a valid plugin: every mistake that can be seen without running it, with its line."""

from __future__ import annotations

from functools import cache
from typing import Any

from ...contracts import Preset
from .declarations import class_problem, declaration_problems
from .fields import field_problems, preset_fields_problem
from .problem import Problem
from .signatures import signature_problems

__all__ = ["Problem", "preset_problem", "problems_of"]


def problems_of(plugin: Any) -> list[Problem]:
    """Everything that is wrong with what a hook offers as a plugin class; where it is none, that alone."""
    if not isinstance(plugin, type):
        found = class_problem(plugin)
        return [found] if found else []
    return list(_problems_of(plugin))


@cache
def _problems_of(plugin: type) -> tuple[Problem, ...]:
    """The same of a class, which may be offered under many names."""
    if found := class_problem(plugin):
        return (found,)
    return (*declaration_problems(plugin), *field_problems(plugin), *signature_problems(plugin))


def preset_problem(preset: Preset) -> list[Problem]:
    """What is wrong with the fields that a preset of a sound class fixes."""
    return list(preset_fields_problem(preset))
