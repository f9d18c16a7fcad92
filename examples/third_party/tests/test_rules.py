"""Both plugins keep the rules of their kinds: a test for each."""

from medrobust.testing import conformance

test_rules = conformance("frequency-lab")
