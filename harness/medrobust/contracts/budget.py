"""Lengths and budgets: every length carries its scale and is converted once, to pixel units in [0, 1].

Scales, as a suffix of the number: none or `@[0,1]` for pixels in [0, 1]; `@[0,255]` for grey levels; `@[-1,1]` for
inputs rescaled to [-1, 1]; `@/128` for (x - 128) / 128 with x in grey levels (hirano2021). `zeta=4%` is a percentage of
the mean norm of the target's training images; `eps/10` is a fraction of the budget's own radius.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Literal, get_args

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from ..errors import shown
from .numbers import exact

Norm = Literal["linf", "l2", "l1", "l0", "unbounded"]
"""What a budget bounds: the largest change of a value, the Euclidean length of all changes, their sum, the number of
values that change (each channel of a pixel is one), or nothing but the box."""
BOUNDED: tuple[Norm, ...] = ("linf", "l2", "l1", "l0")
"""The norms that have a radius."""
Unit = Literal["pixel01", "zeta", "eps"]

SCALES: dict[str, Fraction] = {
    "[0,1]": Fraction(1),
    "[0,255]": Fraction(1, 255),
    "[-1,1]": Fraction(1, 2),
    "/128": Fraction(128, 255),
}
"""Factor from one unit of the named scale to one unit of pixels in [0, 1]."""

_NUMBER = r"(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?"
_ABSOLUTE = re.compile(rf"(?P<number>{_NUMBER}(?:/{_NUMBER})?)(?:@(?P<scale>.+))?", re.IGNORECASE)
_ZETA = re.compile(rf"zeta=(?P<number>{_NUMBER}(?:/{_NUMBER})?)%", re.IGNORECASE)
_EPS = re.compile(rf"(?:(?P<factor>{_NUMBER})\*)?eps(?:/(?P<divisor>{_NUMBER}))?", re.IGNORECASE)


@dataclass(frozen=True)
class Length:
    """A radius or a step with its scale.

    `value` is exact: pixels in [0, 1] for unit `pixel01`, a fraction (not percent) for `zeta` and `eps`. `text` is how
    it was written; lengths are equal however they were written.
    """

    value: Fraction
    unit: Unit = "pixel01"
    text: str = field(default="", compare=False)

    @classmethod
    def parse(cls, raw: str | float | int | Length) -> Length:
        """Read a length such as `1/255`, `0.02@[-1,1]`, `0.0024@/128`, `zeta=4%`, `eps/10`.

        Raises:
            ValueError: with the accepted forms, if `raw` is none of them.
        """
        if isinstance(raw, Length):
            return raw
        text = re.sub(r"\s+", "", str(raw))
        try:
            if match := _ZETA.fullmatch(text):
                return cls(exact(match["number"]) / 100, "zeta", text)
            if match := _EPS.fullmatch(text):
                return cls(exact(match["factor"] or "1") / exact(match["divisor"] or "1"), "eps", text)
            if match := _ABSOLUTE.fullmatch(text):
                scale = match["scale"] or "[0,1]"
                if scale not in SCALES:
                    raise ValueError(
                        f"unknown scale '@{scale[:20]}' in {shown(text)}; valid: {', '.join('@' + s for s in SCALES)}"
                    )
                return cls(exact(match["number"]) * SCALES[scale], "pixel01", text)
        except ZeroDivisionError:
            raise ValueError(f"division by zero in {shown(text)}") from None
        raise ValueError(
            f"{shown(raw)} is not a valid length; write 1/255, 0.02@[-1,1], 2.5@[0,255], 0.0024@/128, zeta=4% or eps/10"
        )

    def resolve(self, *, eps: float | None = None, mean_norm: float | None = None) -> float:
        """The length in pixel units of [0, 1].

        Args:
            eps: radius of the budget, needed by lengths relative to it.
            mean_norm: mean norm of the target's training images (pixels in [0, 1]), needed by zeta.
        """
        if self.unit == "pixel01":
            return float(self.value)
        reference, what = (eps, "a budget with a radius") if self.unit == "eps" else (mean_norm, "a training set")
        if reference is None:
            raise ValueError(f"'{self}' needs {what}")
        return float(self.value) * reference

    def __str__(self) -> str:
        if self.text:
            return self.text
        if self.unit == "zeta":
            return f"zeta={self.value * 100}%"
        if self.unit == "eps":
            factor, divisor = self.value.numerator, self.value.denominator
            return ("" if factor == 1 else f"{factor}*") + "eps" + ("" if divisor == 1 else f"/{divisor}")
        return str(self.value)

    @property
    def canonical(self) -> str:
        """Equal for equal lengths however they were written: 0.02@[-1,1] and 0.01 are the same length."""
        return f"{self.unit}:{self.value}"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(cls.parse)


def beyond_pixels(length: Length, before: str = "") -> str:
    """What is wrong with a change of single pixels by more than their whole range, and what was meant; else empty.

    `before` is what stands before the length where it was written, such as `linf:`.
    """
    if length.unit != "pixel01" or length.value <= 1:
        return ""
    plain = not {"@", "/"} & set(str(length)) and length.value <= 255
    meant = f"; did you mean '{before}{length}/255'?" if plain else ""
    return f"is larger than the whole range of pixels, 0 to 1{meant}"


@dataclass(frozen=True)
class Budget:
    """How far an adversarial image may be from its original, in pixel units of [0, 1].

    Attributes:
        norm: the norm that is bounded; `unbounded` where only the box is, as for patches and corruptions.
        eps: the radius; None where there is none. See `minimal`.
        box: the valid pixel range, or None for no limit, as in papers that do not clip (hirano2021).
        slack: what the verdict tolerates beyond eps in linf per pixel, such as 1/255 for images rounded to 8 bits.
    """

    norm: Norm
    eps: float | None
    box: tuple[float, float] | None = (0.0, 1.0)
    slack: float = 0.0

    @property
    def minimal(self) -> bool:
        """Whether the smallest perturbation that succeeds is asked for (`l2:min`)."""
        return self.eps is None and self.norm != "unbounded"


@dataclass(frozen=True)
class BudgetSpec:
    """A budget as a grid states it; `resolve` turns it into a `Budget`.

    Text forms: `linf:1/255`, `linf:0.02@[-1,1]`, `l2:zeta=4%`, `l1:10`, `l0:20`, `l2:min`, `unbounded`, each optionally
    followed by `box=none` and `slack=1/255`, separated by spaces. The radius of `l0` is a number of values.
    """

    norm: Norm
    eps: Length | None
    bounded: bool = True
    slack: Length = Length(Fraction(0))

    @classmethod
    def parse(cls, raw: str | BudgetSpec) -> BudgetSpec:
        """Read the text form.

        Raises:
            ValueError: naming the part that is wrong and what would be right.
        """
        if isinstance(raw, BudgetSpec):
            return raw
        if not isinstance(raw, str) or not raw.strip():
            raise ValueError(
                f"{shown(raw)} is not a valid budget; write 'linf:1/255', 'l2:zeta=4%', 'l2:min' or 'unbounded'"
            )
        head, *options = raw.split()
        norm, colon, radius = head.partition(":")
        norm = {"inf": "linf", "2": "l2", "1": "l1", "0": "l0"}.get(norm.lower(), norm.lower())
        if norm == "unbounded" and colon:
            raise ValueError(f"{shown(raw)}: 'unbounded' has no radius; write 'unbounded' alone")
        if (not colon and norm != "unbounded") or norm not in get_args(Norm):
            raise ValueError(
                f"{shown(raw)} must begin with a norm and a colon: one of {', '.join(BOUNDED)}; or be 'unbounded'"
            )
        eps = None if radius == "min" or norm == "unbounded" else Length.parse(radius)
        if eps is not None and eps.unit == "eps":
            raise ValueError(f"the radius of {shown(raw)} cannot be given as a multiple of eps")
        if eps is not None and norm == "l0" and (eps.unit != "pixel01" or not str(eps).isdigit()):
            raise ValueError(f"the radius of {shown(raw)} is a number of values that may change: write a whole number")
        bounded, slack = True, Length(Fraction(0))
        for option in options:
            key, _, value = option.partition("=")
            if key == "box" and value in ("none", "[0,1]"):
                bounded = value != "none"
            elif key == "slack":
                slack = Length.parse(value)
            else:
                raise ValueError(
                    f"unknown option {shown(option)} in {shown(raw)}; valid: box=none, box=[0,1], slack=1/255"
                )
        for what, length, before in (("radius", eps if norm == "linf" else None, "linf:"), ("slack", slack, "slack=")):
            if length is not None and (wrong := beyond_pixels(length, before)):
                raise ValueError(f"the {what} of {shown(raw)} {wrong}")
        return cls(norm, eps, bounded, slack)  # type: ignore[arg-type]

    @property
    def minimal(self) -> bool:
        """Whether it asks for the smallest perturbation that succeeds."""
        return self.eps is None and self.norm != "unbounded"

    @property
    def needs_training_set(self) -> bool:
        """Whether the radius is a percentage of the mean norm of the target's training images."""
        return self.eps is not None and self.eps.unit == "zeta"

    def resolve(self, mean_norm: float | None = None) -> Budget:
        """The budget in pixel units; `mean_norm` is needed by zeta only."""
        eps = None if self.eps is None else self.eps.resolve(mean_norm=mean_norm)
        return Budget(self.norm, eps, (0.0, 1.0) if self.bounded else None, self.slack.resolve(eps=eps))

    def __str__(self) -> str:
        radius = "" if self.norm == "unbounded" else ":min" if self.eps is None else f":{self.eps}"
        box = "" if self.bounded else " box=none"
        return f"{self.norm}{radius}{box}" + ("" if self.slack == Length(Fraction(0)) else f" slack={self.slack}")

    @property
    def canonical(self) -> str:
        """Equal for equal budgets however they were written."""
        radius = "min" if self.eps is None else self.eps.canonical
        return f"{self.norm}:{radius}:{'box' if self.bounded else 'free'}:{self.slack.canonical}"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(cls.parse)
