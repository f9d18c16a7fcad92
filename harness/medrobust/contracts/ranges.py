"""Types of parameters with a range; the host checks it when a grid is read, and names it.

For another range, write it out: `Annotated[float, Field(gt=0, le=1)]`, with `Field` of pydantic.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

Count = Annotated[int, Field(ge=1)]
"""How many of something that there is at least one of: steps, queries, images."""
Whole = Annotated[int, Field(ge=0)]
"""A whole number that may be 0."""
Share = Annotated[float, Field(ge=0, le=1)]
"""A part of a whole, or a probability."""
Positive = Annotated[float, Field(gt=0)]
"""A number above 0."""
NonNegative = Annotated[float, Field(ge=0)]
"""A number that is not below 0."""
