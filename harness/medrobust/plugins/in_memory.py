"""A network and images that a program hands in, as a model plugin and a data set plugin of this process."""

from __future__ import annotations

import copy
import hashlib
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..contracts import SPLITS, DataInfo, Dataset, DataSource, ImageData, Members, Model, Recipe, Shape, Task
from ..errors import DataError, DataUnavailable, ModelError, PluginError
from .registered import Origin, RegisteredPlugin
from .registry import Registry
from .source import code_hash

ORIGIN: Final = Origin("memory", "not in the store")
"""What such plugins name in place of a distribution: `memory:my-net`."""
LIBRARIES: Final = ("torch", "torchvision")
"""Packages whose classes count by nothing but what they compute; every record has their versions."""
PROBES: Final = 4
"""Images on which a network is asked for logits that become part of its identity."""


@dataclass(frozen=True)
class InMemoryModel(Model):
    """A network that a program handed in; this process has it, and no file does.

    Attributes:
        label: the name it was given.
        fingerprint: of its weights, the source of its classes, and its logits on fixed images.
    """

    name: ClassVar[str] = "in-memory"
    revision: ClassVar[int | None] = 1

    recipe: Recipe = Recipe(epochs=0, select_on="last")  # noqa: RUF009 - frozen
    label: str = ""
    fingerprint: str = ""

    @property
    def title(self) -> str:
        return self.label

    def build(self, shape: Shape) -> nn.Module:
        """A copy of the network.

        Raises:
            ModelError: if this process does not have it, or it does not take this shape.
        """
        if self.fingerprint not in _networks:
            raise ModelError(
                f"model '{self.label}' was handed in by a program and is not in the store; hand it in again with "
                f"Session.add_model('{self.label}', ...), and run in that process (workers=1)"
            )
        module = copy.deepcopy(_networks[self.fingerprint])
        images = torch.zeros(2, shape.channels, shape.height, shape.width)
        logits = _logits(self.label, module, images)
        if logits.shape[1] not in ((1, 2) if shape.outputs == 2 else (shape.outputs,)):
            given, wanted = logits.shape[1], shape.outputs
            raise ModelError(f"model '{self.label}' gives {given} logits an image; the data set has {wanted} classes")
        return module


@dataclass(frozen=True)
class RandomInMemoryModel(InMemoryModel):
    """The same, of a network whose logits differ between equal images."""

    name: ClassVar[str] = "random-in-memory"
    revision: ClassVar[int | None] = 1
    stochastic: ClassVar[bool] = True


@dataclass(frozen=True)
class InMemoryDataset(Dataset):
    """Images that a program handed in; they are written nowhere.

    Attributes:
        label: the name they were given.
        content: fingerprint of pixels, labels, ids and groups.
    """

    name: ClassVar[str] = "in-memory"
    revision: ClassVar[int | None] = 1
    cached: ClassVar[bool] = False

    label: str = ""
    content: str = ""

    @property
    def title(self) -> str:
        return self.label

    def describe(self, source: DataSource) -> DataInfo:
        return self._held()[0]

    def load(self, split: str, source: DataSource) -> ImageData:
        return self._held()[1][split]

    def members(self, source: DataSource) -> Mapping[str, Members]:
        splits = self._held()[1].items()
        return {s: Members(d.ids.tolist(), None if d.groups is None else d.groups.tolist()) for s, d in splits}

    def _held(self) -> tuple[DataInfo, Mapping[str, ImageData]]:
        if self.content not in _images:
            raise DataUnavailable(
                f"data set '{self.label}' was handed in by a program; hand it in again with "
                f"Session.add_dataset('{self.label}', ...), and run in that process (workers=1)"
            )
        return _images[self.content]


_networks: dict[str, nn.Module] = {}
"""Networks of this process by fingerprint; copies, so that training on changes none of them."""
_images: dict[str, tuple[DataInfo, Mapping[str, ImageData]]] = {}
"""Images of this process by fingerprint."""


def offer_model(
    registry: Registry, name: str, module: nn.Module, shape: tuple[int, int, int], *, stochastic: bool = False
) -> None:
    """Put a network among the models of a registry; see `Session.add_model`.

    Raises:
        ModelError: if it cannot be copied, or gives no logits (n, outputs) for images of that shape.
    """
    try:
        module = copy.deepcopy(module).cpu().float().eval().requires_grad_(False)
    except Exception as error:
        raise ModelError(f"model '{name}' cannot be copied ({error}); hand in a module without open files") from error
    fingerprint = _fingerprint(name, module, shape, stochastic=stochastic)
    _networks[fingerprint] = module
    plugin = RandomInMemoryModel if stochastic else InMemoryModel
    preset = (("label", name), ("fingerprint", fingerprint))
    summary = f"{type(module).__qualname__}, handed in by a program; not in the store."
    registry.replace(RegisteredPlugin(name, plugin, ORIGIN, preset, summary))


def _fingerprint(name: str, module: nn.Module, shape: tuple[int, int, int], *, stochastic: bool) -> str:
    """What stands for a network in identities: weights, code, and what it computes on fixed images.

    Logits catch what weights and classes do not show, such as a number in an attribute or a method that was replaced.
    """
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(PROBES, *shape, generator=generator)
    logits = _logits(name, module, images)
    try:
        classes = {type(m) for m in module.modules() if type(m).__module__.partition(".")[0] not in LIBRARIES}
        code = sorted(code_hash(each) for each in classes)
    except PluginError:
        # Typed into an interpreter: an edit would go unnoticed, so that nothing computed is taken for the same again.
        return f"unknown-{uuid.uuid4().hex[:16]}"
    content = hashlib.sha256("\0".join(code).encode())
    for key, value in sorted(module.state_dict().items()):
        tensor = value if isinstance(value, Tensor) else torch.tensor([])
        content.update(f"{key}{tensor.dtype}{tuple(tensor.shape)}".encode())
        content.update(tensor.contiguous().flatten().view(torch.uint8).numpy().data)
    if not stochastic:
        # Rounded: processors differ in the last digits.
        scale = float(logits.abs().max()) or 1.0
        content.update((logits / scale * 1000).round().to(torch.int64).numpy().data)
    return content.hexdigest()[:16]


def _logits(name: str, module: nn.Module, images: Tensor) -> Tensor:
    """What a network gives for images in [0, 1].

    Raises:
        ModelError: if that is no matrix (n, outputs) of finite numbers.
    """
    size = "x".join(map(str, images.shape[1:]))
    try:
        with torch.no_grad():
            logits = module(images)
    except Exception as error:
        raise ModelError(f"model '{name}' does not take float32 images (n, {size}): {error}") from error
    if not isinstance(logits, Tensor) or logits.ndim != 2 or len(logits) != len(images):
        given = f"shape {tuple(logits.shape)}" if isinstance(logits, Tensor) else type(logits).__name__
        raise ModelError(f"model '{name}' must give logits (n, outputs) for images (n, {size}); it gives {given}")
    if not torch.isfinite(logits).all():
        raise ModelError(f"model '{name}' gives logits that are not finite for images in [0, 1]")
    return logits


def offer_dataset(
    registry: Registry,
    name: str,
    splits: Mapping[str, ImageData],
    classes: Sequence[str],
    task: Task,
    *,
    shared_groups: bool = False,
) -> None:
    """Put images among the data sets of a registry; see `Session.add_dataset`.

    Raises:
        DataError: if splits are unknown, or their images differ in size or colour.
    """
    if not splits or not set(splits) <= set(SPLITS):
        raise DataError(f"data set '{name}': splits are {', '.join(SPLITS)}; got {', '.join(splits) or 'none'}")
    shapes = {data.images.shape[1:] for data in splits.values()}
    if len(shapes) > 1:
        raise DataError(f"data set '{name}': images of one size and colour are needed, got {sorted(shapes)}")
    height, width, channels = shapes.pop()
    grouped = all(data.groups is not None for data in splits.values())
    names = tuple(s for s in SPLITS if s in splits)
    splits = {split: _own_ids(split, splits[split]) for split in names}
    info = DataInfo(tuple(classes), (height, width), channels, task, names, grouped, shared_groups)
    content = hashlib.sha256(repr((info.classes, task)).encode())
    for split in names:
        data = splits[split]
        content.update(split.encode())
        for values in (data.images, data.labels, data.ids, data.groups):
            content.update(repr(None if values is None else (values.shape, values.dtype.str)).encode())
            content.update(b"" if values is None else np.ascontiguousarray(values).view(np.uint8).data)
    key = content.hexdigest()[:16]
    _images[key] = (info, splits)
    preset = (("label", name), ("content", key))
    count = sum(len(data) for data in splits.values())
    summary = f"{count} images, handed in by a program; not in the store."
    registry.replace(RegisteredPlugin(name, InMemoryDataset, ORIGIN, preset, summary))


def image_data(
    images: NDArray[Any] | Tensor,
    labels: NDArray[Any] | Tensor | Sequence[int] | None = None,
    *,
    ids: Sequence[str] | None = None,
    groups: Sequence[str] | None = None,
) -> ImageData:
    """Arrays as the images of one split.

    Args:
        images: (n, c, h, w), (n, h, w, c) or (n, h, w), with 1 or 3 channels: uint8, uint16, or floats in [0, 1].
            Floats that are no multiples of 1/255 are kept as uint16, off by at most 1/131070.
        labels: class indices (n,) or a 0/1 matrix (n, labels); None where unknown.
        ids: a name for each image; its number if not given.
        groups: of each image, such as its patient: intervals and slices respect them.

    Raises:
        DataError: for another shape or type, or values beyond [0, 1].
    """
    pixels = _integers(_channels_last(_array(images)))
    known = None if labels is None else _array(labels).astype(np.int64)
    names = _numbers(len(pixels)) if ids is None else [str(i) for i in ids]
    return ImageData(
        pixels, known, np.array(names, dtype=str), None if groups is None else np.array([str(g) for g in groups])
    )


def _numbers(count: int) -> list[str]:
    """Ids of images that have no names."""
    width = len(str(max(count - 1, 0)))
    return [f"{i:0{width}}" for i in range(count)]


def _own_ids(split: str, data: ImageData) -> ImageData:
    """Images that are numbered in each split anew, under ids that tell the splits apart."""
    numbers = _numbers(len(data))
    if data.ids.tolist() != numbers:
        return data
    return replace(data, ids=np.array([f"{split}-{number}" for number in numbers], dtype=str))


def _array(values: Any) -> NDArray[Any]:
    return values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)


def _channels_last(images: NDArray[Any]) -> NDArray[Any]:
    if images.ndim == 3:
        return images[..., None]
    if images.ndim != 4:
        raise DataError(f"images must have shape (n, c, h, w), (n, h, w, c) or (n, h, w), got {images.shape}")
    first, last = images.shape[1] in (1, 3), images.shape[3] in (1, 3)
    if first == last:
        why = "both the second and the last axis may be channels" if first else "no axis has 1 or 3 channels"
        raise DataError(f"images of shape {images.shape}: {why}; give (n, h, w) or (n, h, w, c) with c = 1 or 3")
    return np.ascontiguousarray(images.transpose(0, 2, 3, 1)) if first else images


def _integers(images: NDArray[Any]) -> NDArray[Any]:
    if images.dtype in (np.uint8, np.uint16):
        return images.copy()  # the caller may go on and change them
    if images.dtype.kind != "f":
        raise DataError(f"images must be uint8, uint16 or floats in [0, 1], got {images.dtype}")
    low, high = (float(images.min()), float(images.max())) if images.size else (0.0, 0.0)
    if not (low >= 0 and high <= 1):  # NaN compares as false
        raise DataError(
            f"float images must lie in [0, 1], got {low:.4g} to {high:.4g}; the model does its own normalisation"
        )
    grey = images * 255.0
    if np.abs(grey - np.rint(grey)).max(initial=0.0) < 1e-3:
        return np.rint(grey).astype(np.uint8)
    return np.rint(images * 65535.0).astype(np.uint16)
