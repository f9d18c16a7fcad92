"""Readers of weights."""

from __future__ import annotations

import io
import json
import random
import shutil
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import nn

from medrobust.api import Registry, Store
from medrobust.engine.models.checkpoints import load_checkpoint
from medrobust.results.files import content_hash
from medrobust.results.marker import CONTENT, MARKER

from ..fuzzing import Reader
from ..mutations import TEXTS, damaged, odd_value, rezipped


def network() -> nn.Module:
    """What weights are read for."""
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 2))


def tensors(registry: Registry, folder: Path) -> Reader:
    """Weights in safetensors: as a checkpoint and in a store."""
    module = network()
    seed = safetensors.torch.save(module.state_dict())
    length = struct.unpack("<Q", seed[:8])[0]
    header, content = json.loads(seed[8 : 8 + length]), seed[8 + length :]
    kinds = ("F64", "F32", "F16", "BF16", "I64", "U64", "BOOL", "F8_E4M3", "F8_E8M0", "F4", "C64", "X", 3)
    (folder / "store").mkdir()
    (folder / "store" / MARKER).write_text(CONTENT)

    def make(draw: random.Random) -> bytes:
        if draw.random() < 0.4:
            return damaged(seed, draw)
        table = {name: dict(about) for name, about in header.items()}
        name = draw.choice(list(table))
        kind = draw.randrange(6)
        if kind == 0:
            table[name]["dtype"] = draw.choice(kinds)
        elif kind == 1:
            table[name]["shape"] = draw.choice(
                ([], [0], [-1], [2**40, 2**40], [2, 2**63], ["a"], None, [1.5], [1] * 100)
            )
        elif kind == 2:
            numbers = (0, 4, 8, -1, len(content), len(content) + 1, 2**63, 2**64, 1.5)
            table[name]["data_offsets"] = [draw.choice(numbers), draw.choice(numbers)]
        else:
            table = odd_value(table, draw)
        text = json.dumps(table).encode("utf-8", "replace")
        if kind == 4:
            text = text[:-1] + b"," + text[1:]
        if kind == 5 and draw.random() < 0.3:
            text = draw.choice((b"[" * 100_000, b'{"a":' * 10_000, b"{}", b'{"__metadata__": {"a": 1}}'))
        text += b" " * (-len(text) % 8)
        said = draw.choice((len(text),) * 6 + (2**63, 2**40, 0, len(text) + 8))
        return struct.pack("<Q", said) + text + content

    def read(given: bytes) -> object:
        file = folder / "weights.safetensors"
        file.write_bytes(given)
        key = content_hash(given)
        kept = folder / "store" / "tensors" / f"{key}.safetensors"
        kept.parent.mkdir(exist_ok=True)
        kept.write_bytes(given)
        try:
            loaded = Store(folder / "store").load_tensors(key)
        finally:
            kept.unlink(missing_ok=True)
            shutil.rmtree(folder / "store" / "damaged", ignore_errors=True)
        load_checkpoint(network(), file)
        return loaded

    return Reader("safetensors", make, read)


def checkpoint(registry: Registry, folder: Path) -> Reader:
    """Weights as torch writes them, in the old format and the new, with tensors and entries of any kind."""
    state = network().state_dict()
    kinds: tuple[Callable[[Any], Any], ...] = (
        lambda t: t.to(torch.complex64),
        lambda t: t.to(torch.float64).to_sparse(),
        lambda t: t.to("meta"),
        lambda t: t.float() * float("nan"),
        lambda t: t.flatten(),
        lambda t: t.to(torch.int64),
        lambda t: nn.Parameter(t.float()),
        lambda t: torch.zeros(1).expand(1000, 1000),
        lambda t: [t],
        lambda t: "text",
        lambda t: {"a": t},
    )

    def whole(content: object, draw: random.Random) -> bytes:
        packed = io.BytesIO()
        new = draw.random() < 0.6
        torch.save(content, packed, _use_new_zipfile_serialization=new, pickle_protocol=draw.choice((2, 3, 4)))
        return packed.getvalue()

    seeds = [whole(content, random.Random(n)) for n in range(8) for content in (dict(state), {"state_dict": state})]

    def make(draw: random.Random) -> bytes:
        entries: dict[Any, Any] = dict(state)
        for _ in range(draw.choice((0, 1, 1, 2))):
            name = draw.choice(list(entries))
            if draw.random() < 0.3:
                entries[draw.choice((*TEXTS[:20], 3, ("a", 1), "module." + str(name)))] = entries.pop(name)
            else:
                entries[name] = draw.choice(kinds)(state[draw.choice(list(state))])
        content = draw.choice(
            (entries, entries, {"state_dict": entries, "epoch": 3}, {"a": entries, "b": entries}, [entries])
        )
        if draw.random() < 0.7:
            data = draw.choice(seeds)
        else:
            data = whole(content, draw)
            if draw.random() < 0.5:
                return data
        if zipfile.is_zipfile(io.BytesIO(data)) and draw.random() < 0.5:
            return rezipped(data, draw, lambda _, c: damaged(c, draw))
        return damaged(data, draw)

    def read(given: bytes) -> object:
        file = folder / "weights.pt"
        file.write_bytes(given)
        return load_checkpoint(network(), file)

    return Reader("checkpoint", make, read)
