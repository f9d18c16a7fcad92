"""Readers of images and arrays."""

from __future__ import annotations

import io
import random
import struct
from pathlib import Path

import numpy as np
from PIL import Image

from medrobust import DataSource
from medrobust.api import Registry
from medrobust_datasets import MedMnist
from medrobust_datasets.decoding import Decoder

from ..fuzzing import Reader
from ..mutations import TEXTS, damaged, rezipped

SIDE = 28


def npz(registry: Registry, folder: Path) -> Reader:
    """Arrays of MedMNIST, as bytes, as archives with odd entries, and with odd headers of arrays."""
    rng = np.random.default_rng(0)
    arrays = {
        "train_images": rng.integers(0, 255, (6, SIDE, SIDE), dtype=np.uint8),
        "train_labels": np.eye(6, 1, dtype=int),
    }
    seeds = []
    for save in (np.savez, np.savez_compressed):
        packed = io.BytesIO()
        save(packed, **arrays)  # type: ignore[arg-type]
        seeds.append(packed.getvalue())
    place = folder / "medmnist"
    place.mkdir(exist_ok=True)

    def make(draw: random.Random) -> bytes:
        seed = draw.choice(seeds)
        return (
            damaged(seed, draw, seeds) if draw.random() < 0.5 else rezipped(seed, draw, lambda _, c: odd_npy(c, draw))
        )

    def read(given: bytes) -> object:
        (place / "pneumoniamnist.npz").write_bytes(given)
        source, data = DataSource(folder), MedMnist()
        return data.fingerprint(source), data.load("train", source)

    return Reader("npz", make, read)


def odd_npy(data: bytes, draw: random.Random) -> bytes:
    """An array file whose header is another."""
    if draw.random() < 0.3:
        return damaged(data, draw)
    kinds = (
        "'|u1'",
        "'<i8'",
        "'|O'",
        "'|V1000000000'",
        "'<U99999999'",
        "'<c16'",
        "[('a', '|O')]",
        "'<m8'",
        "'?'",
        "''",
    )
    shapes = (
        "()",
        "(0,)",
        "(-1, 2)",
        "(6, 28, 28)",
        "(10**9,)",
        "(1099511627776, 28, 28)",
        "(9" + "9" * 400 + ",)",
        "None",
    )
    kind, shape = draw.choice((*kinds, *TEXTS[:12])), draw.choice((*shapes, *TEXTS))
    header = f"{{'descr': {kind}, 'fortran_order': {draw.choice(('False', 'True', '3'))}, 'shape': {shape}, }}"
    text = header.encode("latin1", "replace") + b"\n"
    if draw.random() < 0.5:
        return b"\x93NUMPY\x01\x00" + struct.pack("<H", min(len(text), 65535)) + text + data[128:]
    length = draw.choice((len(text), len(text), 2**31, 0))
    return b"\x93NUMPY" + bytes([draw.choice((1, 2, 3, 9))]) + b"\x00" + struct.pack("<I", length) + text + data[128:]


def image(registry: Registry, folder: Path) -> Reader:
    """Images of every format that is read."""
    pixels = np.random.default_rng(0).integers(0, 255, (24, 20, 3), dtype=np.uint8)
    seeds = []
    for kind, mode in (
        ("PNG", "RGB"),
        ("PNG", "P"),
        ("JPEG", "RGB"),
        ("TIFF", "RGB"),
        ("TIFF", "L"),
        ("BMP", "RGB"),
        ("GIF", "P"),
        ("WEBP", "RGB"),
        ("PPM", "L"),
        ("PNG", "LA"),
    ):
        made = io.BytesIO()
        Image.fromarray(pixels).convert(mode).save(made, kind)
        seeds.append(made.getvalue())

    def make(draw: random.Random) -> bytes:
        return damaged(draw.choice(seeds), draw, seeds)

    def read(given: bytes) -> object:
        file = folder / "image.png"
        file.write_bytes(given)
        return Decoder(16, draw_channels(given))(file)

    return Reader("image", make, read)


def draw_channels(data: bytes) -> int:
    return 3 if len(data) % 2 else 1
