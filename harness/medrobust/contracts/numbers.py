"""Exact numbers as people write them, within bounds: `1e999999999` is a short text and an endless number."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Final

LONGEST: Final = 40
"""Characters of a number."""
_LARGE: Final = re.compile(r"e[+-]?0*[1-9]\d\d", re.IGNORECASE)
"""An exponent of three digits or more."""


def exact(text: str) -> Fraction:
    """The number that a text such as `0.25`, `1e-3` or `8/255` is.

    Raises:
        ValueError: if it is none, or too long or too large for any use here.
        ZeroDivisionError: for `1/0`.
    """
    if len(text) > LONGEST or _LARGE.search(text):
        raise ValueError(f"'{text[:LONGEST]}' is no number of at most {LONGEST} characters and an exponent up to 99")
    numerator, slash, denominator = text.partition("/")
    return Fraction(numerator) / Fraction(denominator) if slash else Fraction(numerator)
