"""Readers of what people write: grids, budgets, tables of labels."""

from __future__ import annotations

import random
import tomllib
from pathlib import Path
from typing import Any

from medrobust import BudgetSpec, DataSource
from medrobust.api import Registry, parse_grid, read_grid
from medrobust_datasets import ImageFolder

from ..fuzzing import Reader
from ..mutations import NUMBERS, ODD, TEXTS, damaged, odd_text, odd_value

GRID = """
[define]
small = { name = "textures", size = 8 }
nets = ["tiny-net", { name = "tiny-net", recipe = { epochs = 1, learning_rate = 0.1 } }]
near = "linf:4/255"

[profile.quick.define]
small = { name = "textures", size = 6 }

[[grid]]
dataset = "@small"
model = "@nets"
train_set = ["train", "train[:50%]"]
defense = ["none", "blur"]
attack = ["none", "sign", { name = "steps", steps = [1, 3] }, { name = "all-of", of = ["sign", "hum"] }]
budget = ["@near", "l2:zeta=4%", "linf:0.02@[-1,1] slack=1/255", "l2:min"]
goal = ["untargeted", "target:bright"]
surrogate = [{ model = "tiny-net", dataset = "textures" }]
evaluate_on = ["test", "test[:50%]|10"]
seed = [0, 1]
tags = { row = "a" }
exclude = [{ attack = "none", seed = 1 }]

[[grid]]
dataset = "textures"
model = "tiny-net"
attack = "one-for-all"
budget = "linf:8/255"
precision = "float32"
detector = [{ name = "distance", fit_on = "val" }]
probe = ["examples"]
threads = 1
images = 20
stop = "full"
"""
BUDGETS = (
    *("linf:8/255", "linf:0.02@[-1,1]", "l2:zeta=4%", "l1:10", "l0:20", "l2:min", "unbounded", "l2:2.5e-1@[0,255]"),
    *("linf:0.3 box=none slack=1/255", "linf:1.5@/128 box=[0,1]", "l2:.5/3"),
)
PARTS = (*BUDGETS, *NUMBERS, *("linf:", "l2:", "eps", "/", "@", "e", "*", "=", "%", "slack=", "box=", "zeta=", "1e9"))
TABLE = (
    "file,label,split,group\ntrain/ill/a.png,ill,train,p1\ntrain/well/b.png,well,train,p2\ntest/ill/c.png,ill,test,p3\n"
)
LIST = "file,split\na.png,train\nb.png,test\ntest/ill/c.png,val\n"


def grid(registry: Registry, folder: Path) -> Reader:
    """Grids: as files, and as the tables that a program hands in."""
    tree = tomllib.loads(GRID)
    words = GRID.split()

    def make(draw: random.Random) -> bytes | dict[str, Any]:
        kind = draw.randrange(3)
        if kind == 0:
            return damaged(GRID.encode(), draw)
        if kind == 1:
            return odd_text(GRID, draw, words).encode("utf-8", "surrogatepass")
        changed = tree
        for _ in range(draw.choice((1, 1, 2, 4))):
            changed = odd_value(changed, draw)
        return changed if isinstance(changed, dict) else {"grid": changed}

    def read(given: bytes | dict[str, Any]) -> object:
        if isinstance(given, dict):
            return parse_grid(given, registry)
        file = folder / "grid.toml"
        file.write_bytes(given)
        return read_grid(file, registry, profile="quick" if b"quick" in given else "")

    return Reader("grid", make, read)


def budget(registry: Registry, folder: Path) -> Reader:
    """Budgets as texts, and what becomes of them when they are resolved, written and compared."""

    def make(draw: random.Random) -> Any:
        kind = draw.randrange(4)
        if kind == 0:
            return "".join(draw.choice(PARTS) for _ in range(draw.randrange(1, 6)))
        if kind == 1:
            return draw.choice((*ODD, *TEXTS))
        return odd_text(draw.choice(BUDGETS), draw, PARTS)

    def read(given: Any) -> object:
        block = {"dataset": "textures", "model": "tiny-net", "attack": "sign", "budget": given}
        (found,) = parse_grid({"grid": [block]}, registry).blocks
        for choice in found.axes["budget"]:
            spec = choice.value
            assert isinstance(spec, BudgetSpec)
            resolved = spec.resolve(mean_norm=3.0)
            assert resolved.eps is None or resolved.eps >= 0
            assert BudgetSpec.parse(str(spec)).canonical == spec.canonical
        return found

    return Reader("budget", make, read)


def table(registry: Registry, folder: Path) -> Reader:
    """Tables of labels, splits and patients, and lists of splits, of a folder of images."""
    images = folder / "images"
    for name in ("train/ill/a.png", "train/well/b.png", "test/ill/c.png"):
        (images / name).parent.mkdir(parents=True, exist_ok=True)
        (images / name).touch()
    seeds = (TABLE, LIST)
    words = (
        "train",
        "test",
        "val",
        "a.png",
        "ill",
        "../",
        "/etc/passwd",
        "file",
        "split",
        ",",
        '"',
        "\r",
        "\n",
        "\x00",
    )

    def make(draw: random.Random) -> tuple[int, bytes]:
        number = draw.randrange(3)
        seed = seeds[min(number, 1)]
        if draw.random() < 0.5:
            return number, damaged(seed.encode(), draw, [s.encode() for s in seeds])
        return number, odd_text(seed, draw, words).encode("utf-8", "surrogatepass")

    def read(given: tuple[int, bytes]) -> object:
        number, content = given
        for file in ("labels.csv", "split_train.csv", "split_test.csv"):
            (folder / file).write_bytes(content)
        more: dict[str, Any] = ({"csv": "labels.csv"}, {"splits": "labels.csv"}, {"splits": "split_{split}.csv"})[
            number
        ]
        found = ImageFolder(path="images", **more).complete(DataSource(folder))
        assert all(sample.file.resolve().is_relative_to(images.resolve()) for sample in found.samples)
        return found

    return Reader("table", make, read)
