"""Image files to uint8 pixels."""

from __future__ import annotations

import logging
import struct
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from medrobust import DataError, OnDemand

OnCorrupt = Literal["error", "skip"]
Resample = Literal["bilinear", "linear", "nearest"]
Fit = Literal["squeeze", "crop"]

FORMATS: Final = ("PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP", "PPM")
"""What is read, whatever a file is called: some that Pillow knows run other programs, such as EPS does Ghostscript."""
MOST_PIXELS: Final = 80_000_000
"""Pixels of one image; a fundus photograph has 25 million, a radiograph 15."""

_log = logging.getLogger("medrobust")
_WORKERS = 2
_IN_MEMORY = 2 * 2**30
"""Bytes above which decoded images go to an unnamed temporary file instead of memory."""

# What Pillow raises on files that are empty, truncated, no image at all, or absurdly large.
_UNREADABLE = (
    *(OSError, SyntaxError, ValueError, EOFError, IndexError, struct.error, Image.DecompressionBombError),
    TypeError,  # a size that is no whole number
    Image.DecompressionBombWarning,  # where warnings are errors
    MemoryError,  # a part of a file that says it has gigabytes; images that large are refused before
)


@dataclass(frozen=True)
class Decoder:
    """How one file becomes `size` x `size` pixels.

    Attributes:
        size: side in pixels of the square result.
        channels: 1 (luminance) or 3 (RGB).
        resample: `bilinear` with antialiasing, `linear` without (OpenCV's INTER_LINEAR), or `nearest` (the default of
            Keras); some papers used the latter two.
        fit: `squeeze` an oblong image, or `crop` it to its central square first.
        center: share of each side that is kept, cut from the centre before resizing.
        crop: a further crop of the 8-bit image, before all else.
        stretch: multiply so that the largest value of the result is 255.
    """

    size: int
    channels: int
    resample: Resample = "bilinear"
    fit: Fit = "squeeze"
    center: float = 1.0
    crop: Callable[[Image.Image], Image.Image] | None = None
    stretch: bool = False

    def __call__(self, file: Path) -> NDArray[np.uint8]:
        """Pixels (size, size, channels).

        Raises:
            DataError: naming the file, if it cannot be read.
        """
        try:
            with Image.open(file, formats=FORMATS) as opened:
                refuse_huge(opened)
                image = eight_bit(opened, self.channels)
        except _UNREADABLE as error:
            reason = (
                "the file is empty"
                if file.is_file() and file.stat().st_size == 0
                else str(error) or type(error).__name__
            )
            raise DataError(
                f"cannot read the image {file}: {reason}. Replace or delete it, or leave such images "
                "out with on_corrupt = 'skip'."
            ) from None
        return self.shape(image)

    def on_demand(self, files: Sequence[Path]) -> OnDemand:
        """The images of `files`, each decoded when it is asked for."""
        return OnDemand(lambda index: self(files[index]), (len(files), self.size, self.size, self.channels))

    def shape(self, image: Image.Image) -> NDArray[np.uint8]:
        """Crop and resize an 8-bit image of mode L or RGB."""
        if self.crop is not None:
            image = self.crop(image)
        if self.center < 1:
            image = center_crop(image, self.center)
        if self.fit == "crop":
            image = central_square(image)
        if image.size != (self.size, self.size):
            image = self._resized(image)
        pixels = np.array(image, dtype=np.uint8).reshape(self.size, self.size, self.channels)
        return stretched(pixels) if self.stretch else pixels

    def _resized(self, image: Image.Image) -> Image.Image:
        side = (self.size, self.size)
        if self.resample == "linear":
            # Pillow averages over the source when it resizes and interpolates when it transforms.
            whole = (0, 0, *image.size)
            return image.transform(side, Image.Transform.EXTENT, whole, Image.Resampling.BILINEAR)
        return image.resize(
            side, Image.Resampling.BILINEAR if self.resample == "bilinear" else Image.Resampling.NEAREST
        )


def eight_bit(image: Image.Image, channels: int) -> Image.Image:
    """`image` as mode L or RGB: 16-bit grey is scaled by its full range, transparency is composited on black."""
    mode = "L" if channels == 1 else "RGB"
    if image.mode.startswith("I"):
        values = np.asarray(image).astype(np.int64)
        if values.size and (values.min() < 0 or values.max() > 65535):
            raise ValueError(f"grey values {values.min()} to {values.max()} fit neither 8 nor 16 bits")
        return Image.fromarray(((values + 128) // 257).astype(np.uint8)).convert(mode)
    if image.mode == "F":
        raise ValueError("floating-point pixels have no known range; store 8-bit or 16-bit pixels")
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        transparent = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", transparent.size, (0, 0, 0, 255)), transparent)
    return image.convert(mode)


def refuse_huge(image: Image.Image) -> None:
    """Raise ValueError for an image that would take more memory than any image of a patient, before it takes it."""
    if image.width * image.height > MOST_PIXELS:
        raise ValueError(
            f"it declares {image.width} x {image.height} pixels; at most {MOST_PIXELS / 1e6:.0f} million are read"
        )


def center_crop(image: Image.Image, share: float) -> Image.Image:
    """The central `share` of each side."""
    width, height = (max(1, round(side * share)) for side in image.size)
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image.crop((left, top, left + width, top + height))


def central_square(image: Image.Image) -> Image.Image:
    """The largest square about the centre."""
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image.crop((left, top, left + side, top + side))


def stretched(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Multiplied so that the largest value is 255; a black image stays black."""
    top = int(pixels.max())
    return pixels if top in (0, 255) else np.rint(pixels.astype(np.float64) * (255.0 / top)).astype(np.uint8)


def decode_readable(
    files: Sequence[Path], decoder: Decoder, progress: Callable[[int, int], None]
) -> tuple[NDArray[np.uint8], list[int]]:
    """Decode those of `files` that can be read, in threads; the others are counted in a warning of `medrobust`'s log.

    Returns:
        images (n, size, size, channels), and the indices of the files they come from.
    """

    def attempt(file: Path) -> NDArray[np.uint8] | DataError:
        try:
            return decoder(file)
        except DataError as error:
            return error

    images = allocate((len(files), decoder.size, decoder.size, decoder.channels))
    kept: list[int] = []
    first: DataError | None = None
    with ThreadPoolExecutor(_WORKERS) as pool:
        for index, result in enumerate(pool.map(attempt, files)):
            if isinstance(result, DataError):
                first = first or result
            else:
                images[len(kept)] = result
                kept.append(index)
            progress(index + 1, len(files))
    if first is not None:
        _log.warning(
            "%d of %d images left out as unreadable (on_corrupt = skip); the first: %s",
            len(files) - len(kept),
            len(files),
            first,
        )
        if not kept:
            raise DataError(f"none of {len(files)} images can be read; the first: {first}")
    return images[: len(kept)], kept


def allocate(shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Room for uint8 images, on disk if it would not sit well in memory."""
    if int(np.prod(shape, dtype=np.int64)) <= _IN_MEMORY:
        return np.empty(shape, dtype=np.uint8)
    with tempfile.TemporaryFile(prefix="medrobust-") as file:
        return np.memmap(file, dtype=np.uint8, mode="w+", shape=shape)


def resize_arrays(images: NDArray[Any], decoder: Decoder, progress: Callable[[int, int], None]) -> NDArray[np.uint8]:
    """Images (n, h, w, 1 or 3) or (n, h, w), already decoded, brought to the size and channels of `decoder`."""
    if images.ndim == 3:
        images = images[..., None]
    if images.shape[1:] == (decoder.size, decoder.size, decoder.channels):
        return images
    resized = allocate((len(images), decoder.size, decoder.size, decoder.channels))
    for index, pixels in enumerate(images):
        resized[index] = decoder.shape(eight_bit(Image.fromarray(pixels.squeeze()), decoder.channels))
        progress(index + 1, len(images))
    return resized
