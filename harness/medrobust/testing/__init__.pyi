"""For tests of plugins: the rules that every plugin keeps, and tiny networks and images that need no download.

One line in a test file checks everything that a distribution offers, a test for each plugin and rule:

    from medrobust.testing import conformance

    test_plugins = conformance("my-distribution")

A local plugin file is named by its path: `conformance(file="my_attack.py")`.
"""

from .attack_cases import SignStep
from .rules import Outcome, Rule
from .situations import SITUATIONS, Situation, TinyNetwork, tiny_classifier, tiny_images
from .suite import check, conformance

__all__ = [
    "SITUATIONS",
    "Outcome",
    "Rule",
    "SignStep",
    "Situation",
    "TinyNetwork",
    "check",
    "conformance",
    "tiny_classifier",
    "tiny_images",
]
