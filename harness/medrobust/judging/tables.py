"""Names and tables on the command line, as a grid would write them."""

from __future__ import annotations

import tomllib
from typing import Any

from ..errors import MedrobustError


def table_from(text: str, option: str) -> dict[str, Any]:
    """A name, or a table such as `{ name = "resnet18", head = "pooled" }`; the braces may be left out.

    Raises:
        MedrobustError: naming the option, if it is neither.
    """
    stripped = text.strip()
    if "=" not in stripped:
        return {"name": stripped}
    written = stripped if stripped.startswith("{") else f"{{ {stripped} }}"
    try:
        table = tomllib.loads(f"table = {written}")["table"]
    except tomllib.TOMLDecodeError as error:
        raise MedrobustError(
            f"{option}: '{text}' is no table ({error}); write it as in a grid, such as "
            '\'{ name = "image-folder", path = "xrays", size = 224 }\''
        ) from None
    return dict(table)
