"""The line that says what to do next, with the options that were given."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from .printing import console

Given = str | int | Path | Sequence[Path] | None
"""The value of an option; None, an empty text and an empty list mean that it was not given."""


def next_command(command: str, *arguments: str | Path, **options: Given) -> None:
    """Print `Next: medrobust COMMAND ARGUMENTS OPTIONS`, as one would type it.

    Args:
        command: name of the command.
        arguments: its arguments.
        options: those of its options that the user gave to this command, by the names of their parameters
            (`data_root` for `--data-root`).
    """
    words = ["medrobust", command, *map(str, arguments)]
    for name, value in options.items():
        values = value if isinstance(value, list | tuple) else [value]
        words += [w for v in values if v not in (None, "") for w in (f"--{name.replace('_', '-')}", str(v))]
    console.print(f"Next: {shlex.join(words)}", markup=False, highlight=False, soft_wrap=True)
