"""Rules that every plugin keeps, tiny networks and images, for tests; the names are listed in `__init__.pyi`."""

from ..lazy import attach

__getattr__, __dir__ = attach(__name__, __file__)
