"""Images of a part, decoded once into memory-mapped uint8 and handed out as float batches."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ..contracts import SPLITS, DataInfo, Dataset, DataSource, ImageData, Members, Norm
from ..errors import DataError, StoreError
from ..grid.identity import digest
from ..grid.overlap import check_splits, groups_in_others
from ..grid.parts import Part
from ..grid.slices import cut
from ..lru import Kept
from ..results.verdict import canonical
from .context import RunContext

CACHE_FORMAT = 1
GREY = (0.299, 0.587, 0.114)
"""Luma weights of ITU-R BT.601, which PIL's conversion uses too."""


@dataclass(frozen=True)
class LoadedPart:
    """The images of a part in their order, still uint8; `tensor` converts a batch."""

    data: ImageData
    info: DataInfo
    shape: tuple[int, int, int]
    """(channels, height, width) that batches are converted to."""

    def __len__(self) -> int:
        return len(self.data)

    def tensor(self, positions: NDArray[Any] | slice, device: str = "cpu") -> Tensor:
        """The images at these places as float32 (n, c, h, w) in [0, 1]."""
        return convert(np.asarray(self.data.images[positions]), self.shape, device)

    def sample(self, device: str = "cpu", *, images: int = 8) -> Tensor:
        """The first few images, for looking at a model."""
        return self.tensor(slice(images), device)

    @cached_property
    def labels(self) -> Tensor | None:
        """Labels as int64 tensor, or None."""
        return None if self.data.labels is None else torch.from_numpy(np.ascontiguousarray(self.data.labels))

    @cached_property
    def fingerprint(self) -> str:
        """Hash of ids, labels and pixels."""
        content = hashlib.sha256("\0".join(self.data.ids.tolist()).encode())
        if self.data.labels is not None:
            content.update(np.ascontiguousarray(self.data.labels).tobytes())
        content.update(np.ascontiguousarray(self.data.images).data)
        return content.hexdigest()[:16]


def convert(images: NDArray[Any], shape: tuple[int, int, int], device: str = "cpu") -> Tensor:
    """uint8 or uint16 (n, h, w, c) to float32 (n, c, h, w) in [0, 1], at the channels and size of `shape`.

    Raises:
        DataError: if the channels can be converted neither to grey nor to RGB.
    """
    if images.shape[3] != shape[0] and {images.shape[3], shape[0]} != {1, 3}:
        raise DataError(
            f"images of {images.shape[3]} channels cannot be converted to {shape[0]}; only grey (1) and RGB (3) can"
        )
    scale = 255.0 if images.dtype == np.uint8 else 65535.0
    if images.dtype != np.uint8:
        images = images.astype(np.int32)
    tensor = torch.from_numpy(np.array(images)).to(device)
    tensor = tensor.permute(0, 3, 1, 2).contiguous().to(torch.float32).div_(scale)
    channels, height, width = shape
    if tensor.shape[1] != channels:
        if channels == 3:
            tensor = tensor.expand(-1, 3, -1, -1)
        else:
            weights = torch.tensor(GREY, device=tensor.device).view(1, 3, 1, 1)
            tensor = (tensor * weights).sum(dim=1, keepdim=True)
    if tensor.shape[2:] != (height, width):
        tensor = F.interpolate(tensor, size=(height, width), mode="bilinear", antialias=True).clamp_(0, 1)
    return canonical(tensor)


def load_part(
    part: Part,
    context: RunContext,
    shape: tuple[int, int, int] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> LoadedPart:
    """The images of a part; `shape` (channels, height, width) converts to a model's input.

    Raises:
        DataError: if the slice is empty.
        DataUnavailable: if files are missing.
    """
    source = DataSource(context.data_root, progress) if progress else context.source
    assert isinstance(part.dataset.plugin, Dataset)
    identity = digest(part.data)
    plugin = part.dataset.plugin
    info = _described.get((identity, source.root), lambda: plugin.describe(source))
    whole = load_split(plugin, identity, part.slice.split, source, context.cache)
    if part.slice.start == 0 and part.slice.stop is None and part.slice.limit is None:
        data = whole
    else:
        data = whole.take(cut(whole, part.slice, part.split_seed))
    if not len(data):
        raise DataError(
            f"slice '{part.slice}' of data set '{part.dataset.label}' contains no image; its split has {len(whole)}"
        )
    return LoadedPart(data, info, shape or (info.channels, *info.size))


_described: Kept[DataInfo] = Kept(256)
"""Descriptions by identity: a survey of a large folder is not repeated for every step."""


def load_split(dataset: Dataset, identity: str, split: str, source: DataSource, cache: Path) -> ImageData:
    """A whole split, from the cache of decoded images if it is there, else decoded into it.

    Raises:
        DataError: if its arrays are not as they must be, or images or groups of it are in another split as well.
    """
    if not dataset.cached:
        return _loaded(dataset, split, source)
    folder = _folder(identity, split, cache)
    if not folder.is_dir():
        _keep(_loaded(dataset, split, source), folder)
        try:
            # After it is kept: of two processes that decode two splits at once, one sees the other's.
            declared = dataset.describe(source).shared_groups
            check_splits(_decoded(identity, cache), f"data set '{dataset.title}'", shared_groups=declared)
        except DataError:
            shutil.rmtree(folder, ignore_errors=True)
            raise
    return _open(folder)


def _loaded(dataset: Dataset, split: str, source: DataSource) -> ImageData:
    """What a data set gives, checked."""
    data = dataset.load(split, source)
    _check(data, dataset.describe(source), split, f"data set '{dataset.title}', split '{split}'")
    return data


def _folder(identity: str, split: str, cache: Path) -> Path:
    return cache / "data" / digest(identity, split, CACHE_FORMAT)


def _decoded(identity: str, cache: Path) -> dict[str, Members]:
    """Who is in the splits that are decoded so far."""
    found = {split: _folder(identity, split, cache) for split in SPLITS}
    return {split: _members(_open(folder)) for split, folder in found.items() if folder.is_dir()}


def _members(data: ImageData) -> Members:
    return Members(data.ids.tolist(), None if data.groups is None else data.groups.tolist())


def groups_elsewhere(part: Part, loaded: LoadedPart, context: RunContext) -> str:
    """How many groups of a part's images are in other splits too, where the data set declares that some are."""
    if not loaded.info.shared_groups or loaded.data.groups is None:
        return ""
    assert isinstance(part.dataset.plugin, Dataset)
    members = part.dataset.plugin.members(context.source) or _decoded(digest(part.data), context.cache)
    return groups_in_others(members, part.slice.split, loaded.data.groups.tolist())


def _check(data: ImageData, info: DataInfo, split: str, where: str) -> None:
    """A data set's author hears at once what is wrong with its arrays."""
    if data.images.dtype not in (np.uint8, np.uint16) or data.images.ndim != 4:
        hint = _hint(data.images)
        raise DataError(
            f"{where}: images must be uint8 (n, h, w, c), got {data.images.dtype} {data.images.shape}{hint}"
        )
    given, said = data.images.shape[1:], (*info.size, info.channels)
    if given != said:
        hint = "; channels come last: images.transpose(0, 2, 3, 1)" if given == (said[2], *said[:2]) else ""
        raise DataError(f"{where}: images must be {_shape(said)} as describe() says, got {_shape(given)}{hint}")
    for name, values in (("labels", data.labels), ("ids", data.ids), ("groups", data.groups)):
        if values is not None and len(values) != len(data.images):
            raise DataError(f"{where}: {len(values)} {name} for {len(data.images)} images")
    check_splits({split: _members(data)}, where, shared_groups=True)
    if data.labels is not None and len(data.labels):
        n, classes = len(data.labels), len(info.classes)
        shape, above = ((n, classes), 2) if info.task == "multilabel" else ((n,), classes)
        given, kind = data.labels.shape, data.labels.dtype
        if given != shape or kind.kind not in "iu":
            raise DataError(f"{where}: labels must be integers of shape {shape}, got {kind} {given}")
        low, high = int(data.labels.min()), int(data.labels.max())
        if low < 0 or high >= above:
            raise DataError(f"{where}: labels run from {low} to {high}, expected 0 to {above - 1} ({info.task})")


def _shape(sides: tuple[int, ...]) -> str:
    return f"(n, {', '.join(map(str, sides))})"


def _hint(images: NDArray[Any]) -> str:
    """How arrays that are no images yet become some, where it can be seen."""
    if images.ndim == 3:
        return "; grey images have one channel: images[..., None]"
    if images.ndim == 4 and images.dtype.kind == "f" and images.size and 0 <= images.min() <= images.max() <= 1:
        return "; (images * 255).round().astype(np.uint8) makes them so"
    return ""


def _keep(data: ImageData, folder: Path) -> None:
    """Write a folder of arrays beside its place and rename it there, so that it is whole or absent."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=".tmp-", dir=folder.parent))
        try:
            for name in ("images", "labels", "ids", "groups"):
                values = getattr(data, name)
                if values is not None:
                    values = values.astype(str) if name in ("ids", "groups") else values
                    np.save(temporary / f"{name}.npy", np.ascontiguousarray(values), allow_pickle=False)
            try:
                temporary.rename(folder)
            except OSError:
                # Another process was faster; its arrays are the same.
                if not folder.is_dir():
                    raise
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    except OSError as error:
        raise StoreError(f"{folder.parent}: cache cannot be written ({error.strerror}); set MEDROBUST_CACHE") from error


@lru_cache(maxsize=64)
def _open(folder: Path) -> ImageData:
    def read(name: str, *, mapped: bool = False) -> Any:
        file = folder / f"{name}.npy"
        try:
            return np.load(file, mmap_mode="r" if mapped else None, allow_pickle=False) if file.exists() else None
        except (ValueError, OSError):
            raise DataError(f"{file}: the cache is damaged; delete {folder}") from None

    return ImageData(read("images", mapped=True), read("labels"), read("ids"), read("groups"))


def mean_norm(part: LoadedPart, norm: Norm) -> float:
    """Mean norm of the images of a part, pixels in [0, 1]: what zeta refers to (hirano2021, section Methods)."""
    order = {"linf": float("inf"), "l2": 2.0, "l1": 1.0, "l0": 0.0}[norm]
    total = 0.0
    for start in range(0, len(part), 256):
        batch = part.tensor(slice(start, start + 256)).flatten(1)
        total += float(torch.linalg.vector_norm(batch.double(), ord=order, dim=1).sum())
    return total / len(part)
