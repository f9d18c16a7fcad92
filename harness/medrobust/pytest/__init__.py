"""Robustness in pytest: `parametrize`, and what its tests are given; the names are listed in `__init__.pyi`."""

from ..lazy import attach

__getattr__, __dir__ = attach(__name__, __file__)
