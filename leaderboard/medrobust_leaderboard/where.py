"""The option `--where`: labels wanted, by axis."""

from __future__ import annotations

import re
from collections.abc import Iterable

from medrobust import MedrobustError
from medrobust.api import AXES, did_you_mean

from .labels import Labels

# Labels may have commas and equals signs in brackets, as in pgd(steps=5, step_size=0.01): only an axis begins a part.
_PART = re.compile(r"(?:^|,)\s*(?P<axis>[a-z_]+)\s*=(?![^(]*\))")


def parse_where(texts: Iterable[str]) -> Labels:
    """Labels by axis from texts such as `attack=pgd*,dataset=phantom-cxr`; an axis named twice has either label.

    Raises:
        MedrobustError: for what is no axis, or has no label.
    """
    found: dict[str, list[str]] = {}
    for text in texts:
        parts = list(_PART.finditer(text))
        if not parts or parts[0].start() != 0:
            raise MedrobustError(f"--where {text}: write AXIS=LABEL, such as attack=pgd*,dataset=phantom-cxr")
        ends = [part.start() for part in parts[1:]] + [len(text)]
        for part, end in zip(parts, ends, strict=True):
            axis, label = part["axis"], text[part.end() : end].strip()
            if axis not in AXES:
                raise MedrobustError(
                    f"--where {text}: '{axis}' is not an axis{did_you_mean(axis, AXES)}; axes are {', '.join(AXES)}"
                )
            if not label:
                raise MedrobustError(f"--where {text}: '{axis}=' needs a label; * and ? are wildcards")
            found.setdefault(axis, []).append(label)
    return dict(found)
