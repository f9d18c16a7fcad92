"""The names of augmentations in a recipe: `hflip`, `rotate:10`."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

from ..errors import did_you_mean

GEOMETRIC = {"hflip": 0.5, "vflip": 0.5, "shift": 0.05, "rotate": 5.0, "scale": 0.1, "shear": 0.1}
PHOTOMETRIC = {"brightness": 0.1, "contrast": 0.1}
"""Names with their default amounts: probabilities (flips), shares of the side (shift), degrees (rotate), ratios."""
LARGEST = {"rotate": 180.0, "scale": 0.9}
"""Largest amounts; 1 where nothing is said."""


def parse_augmentation(text: str) -> tuple[str, float]:
    """`rotate:10` as ("rotate", 10.0).

    Raises:
        ValueError: for an unknown name, or an amount that is no number or out of range.
    """
    valid = {**GEOMETRIC, **PHOTOMETRIC}
    name, _, amount = text.partition(":")
    if name not in valid:
        raise ValueError(f"no augmentation is called '{name}'{did_you_mean(name, valid)}")
    try:
        value = float(amount) if amount else valid[name]
    except ValueError:
        raise ValueError(f"'{text}': the amount must be a number, such as '{name}:{valid[name]:g}'") from None
    largest = LARGEST.get(name, 1.0)
    if not 0 <= value <= largest:
        raise ValueError(f"'{text}': the amount must be between 0 and {largest:g}")
    return name, value


def _checked(text: str) -> str:
    parse_augmentation(text)
    return text


Augmentation = Annotated[str, AfterValidator(_checked)]
"""A name with an optional amount, checked when a grid is read."""
