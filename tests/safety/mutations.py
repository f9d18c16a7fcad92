"""Seeded mutations of valid input: bytes that flip, fall out, come twice or from another file; values that are odd."""

from __future__ import annotations

import io
import random
import struct
import zipfile
from collections.abc import Callable, Sequence
from typing import Any

NUMBERS = (
    *(
        "0",
        "-1",
        "1e999",
        "-1e999",
        "1e999999999",
        "nan",
        "inf",
        "9" * 5000,
        "0x10",
        "1_0",
        ".",
        "1/0",
        "0/0",
        "1e-999",
    ),
    *("2147483648", "9223372036854775808", "18446744073709551616", "1" + "0" * 30, "٣", "%", "1.0.0"),
)
TEXTS = (
    *("", " ", "\x00", "\x1b[2J", "\u202e", "\n", "'", '"', "\\", "{}", "[]", "null", "{split.__class__}", "{0}", "%s"),
    *("../../etc/passwd", "/dev/zero", "~", "C:\\x", "a" * 2000, "[" * 2000, "(" * 300, "-" * 9000, "@x", "#", "=1+1"),
    *(
        "<script>",
        "$(id)",
        "[red]x[/]",
        "\ufeff",
        "\ud7ff",
        "True",
        "pgd",
        "linf:8/255",
        "test[:1%]",
        "\\d+(",
        "(a+)+$",
    ),
)
ODD: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2**31, 2**63, 2**64, 10**30, 10**400, 0.0, -0.5, 1e308, float("nan"), float("inf")),
    *([], {}, [[]], [{}], {"": ""}, {"name": 3}, {"name": "pgd"}, ["a", 1], {"a": {"a": {"a": []}}}),
)


def damaged(data: bytes, draw: random.Random, others: Sequence[bytes] = ()) -> bytes:
    """Valid bytes with some of them changed, cut out, repeated, or replaced by a part of another file."""
    changed = bytearray(data)
    for _ in range(draw.choice((1, 1, 1, 2, 3, 8, 30))):
        if not changed:
            break
        at = draw.randrange(len(changed))
        end = min(at + draw.choice((1, 2, 4, 16, 200)), len(changed))
        kind = draw.randrange(9)
        if kind == 0:
            changed[at] ^= 1 << draw.randrange(8)
        elif kind == 1:
            changed[at] = draw.randrange(256)
        elif kind == 2:
            number = draw.choice((0, 1, -1, 2**31 - 1, -(2**31), 2**63 - 1, 2**40, 100, 65536))
            packed = struct.pack(draw.choice(("<q", ">q")), number)[: draw.choice((1, 2, 4, 8))]
            changed[at : at + len(packed)] = packed
        elif kind == 3:
            del changed[at:end]
        elif kind == 4:
            changed[at:at] = changed[at:end]
        elif kind == 5:
            changed[at:end] = draw.choice((*NUMBERS, *TEXTS)).encode("utf-8", "replace")
        elif kind == 6:
            other = draw.choice((data, *others))
            start = draw.randrange(max(len(other), 1))
            changed[at:end] = other[start : start + draw.choice((4, 40, 400))]
        elif kind == 7:
            del changed[at : None if draw.random() < 0.3 else end]
        else:
            changed[at:end] = bytes([draw.choice((0, 255))]) * (end - at)
    return bytes(changed)


def odd_text(text: str, draw: random.Random, words: Sequence[str] = ()) -> str:
    """A text with characters, numbers or words of it replaced."""
    for _ in range(draw.choice((1, 1, 2, 3, 6))):
        at = draw.randrange(len(text) + 1)
        end = min(at + draw.choice((0, 1, 1, 2, 5, 30)), len(text))
        new = draw.choice(
            (draw.choice(NUMBERS), draw.choice(TEXTS), chr(draw.randrange(1, 0x3000)), "", text[:at][-40:])
        )
        text = text[:at] + (draw.choice(words) if words and draw.random() < 0.4 else new) + text[end:]
    return text


def odd_value(value: Any, draw: random.Random) -> Any:
    """A tree of tables, lists and values with one or more places of it changed, moved, missing or repeated."""
    if isinstance(value, dict) and value and draw.random() < 0.85:
        changed = dict(value)
        key = draw.choice(list(changed))
        kind = draw.randrange(10)
        if kind == 0:
            del changed[key]
        elif kind == 1:
            changed[draw.choice(TEXTS)] = changed.pop(key)
        elif kind == 2:
            changed[key] = changed[draw.choice(list(changed))]
        else:
            changed[key] = odd_value(changed[key], draw)
        return changed
    if isinstance(value, list) and value and draw.random() < 0.85:
        at = draw.randrange(len(value))
        kind = draw.randrange(8)
        if kind == 0:
            return value[:at] + value[at + 1 :]
        if kind == 1:
            return [*value, value[at]]
        return [*value[:at], odd_value(value[at], draw), *value[at + 1 :]]
    if isinstance(value, str) and draw.random() < 0.5:
        return odd_text(value, draw)
    return draw.choice((*ODD, *TEXTS, *NUMBERS, [value], {"name": value}))


def rezipped(data: bytes, draw: random.Random, change: Callable[[str, bytes], bytes]) -> bytes:
    """A zip archive whose entries are changed, renamed, left out, repeated or packed otherwise, and whole as a file."""
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(packed, "w") as new:
        names = old.namelist()
        chosen = draw.choice(names)
        for name in names:
            content = old.read(name)
            kind = draw.randrange(12) if name == chosen else -1
            if kind == 0:
                continue
            if kind == 1:
                name = draw.choice((*TEXTS[12:30], name + "x", "../" + name, name.replace(".", "/"))) or "x"
            elif kind == 2:
                new.writestr(name + "2", content)
            elif kind >= 3:
                content = change(name, content)
            method = draw.choice((zipfile.ZIP_STORED, zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2))
            new.writestr(name.replace("\x00", "0"), content, compress_type=method)
    return packed.getvalue()
