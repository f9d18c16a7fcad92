"""Decoding: every pixel format that medical archives hold becomes the right 8-bit values."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medrobust import DataError
from medrobust_datasets.decoding import Decoder, decode_readable, resize_arrays, stretched


def silent(done: int, total: int) -> None: ...


def saved(path: Path, image: Image.Image) -> Path:
    image.save(path)
    return path


def test_16_bit_grey_is_scaled_by_its_full_range(tmp_path: Path) -> None:
    values = np.array([[0, 257, 32896, 65535]], dtype=np.uint16).repeat(4, axis=0)
    file = saved(tmp_path / "deep.png", Image.fromarray(values))
    assert Decoder(4, 1)(file)[0, :, 0].tolist() == [0, 1, 128, 255]
    assert Decoder(4, 3)(file)[0, 2].tolist() == [128, 128, 128]


def test_transparency_is_composited_on_black(tmp_path: Path) -> None:
    rgba = np.full((4, 4, 4), (200, 100, 50, 255), dtype=np.uint8)
    rgba[:, 2:, 3] = 0
    pixels = Decoder(4, 3)(saved(tmp_path / "a.png", Image.fromarray(rgba)))
    assert pixels[0, 0].tolist() == [200, 100, 50]
    assert pixels[0, 3].tolist() == [0, 0, 0]


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK", "LA"])
def test_every_mode_becomes_grey_and_rgb(tmp_path: Path, mode: str) -> None:
    image = Image.new("RGB", (6, 6), (255, 255, 255)).convert(mode)
    file = saved(tmp_path / ("x.tiff" if mode == "CMYK" else "x.png"), image)
    for channels in (1, 3):
        pixels = Decoder(6, channels)(file)
        assert pixels.shape == (6, 6, channels)
        assert pixels.min() == 255


def test_palette_with_transparency(tmp_path: Path) -> None:
    image = Image.new("P", (4, 4), 1)
    image.putpalette([0, 0, 0, 10, 20, 30])
    image.save(tmp_path / "p.png", transparency=b"\xff\xff")
    assert Decoder(4, 3)(tmp_path / "p.png")[0, 0].tolist() == [10, 20, 30]


def test_floating_point_pixels_are_refused(tmp_path: Path) -> None:
    file = saved(tmp_path / "f.tiff", Image.fromarray(np.zeros((4, 4), np.float32)))
    with pytest.raises(DataError, match=r"f\.tiff.*no known range"):
        Decoder(4, 1)(file)


def test_resizing_averages_or_picks(tmp_path: Path) -> None:
    stripes = np.tile(np.array([0, 255], np.uint8), (16, 8))
    file = saved(tmp_path / "stripes.png", Image.fromarray(stripes))
    assert np.ptp(Decoder(8, 1)(file)[2:-2, 2:-2]) <= 1
    assert set(np.unique(Decoder(8, 1, resample="nearest")(file))) <= {0, 255}


def interpolated(pixels: np.ndarray, size: int) -> np.ndarray:
    """Bilinear interpolation between the four nearest pixel centres, as OpenCV documents INTER_LINEAR."""
    found = pixels.astype(np.float64)
    for axis in (0, 1):
        length = found.shape[axis]
        at = ((np.arange(size) + 0.5) * length / size - 0.5).clip(0, length - 1)
        low = np.minimum(np.floor(at).astype(int), length - 2)
        share = (at - low).reshape([-1 if a == axis else 1 for a in range(found.ndim)])
        found = found.take(low, axis) * (1 - share) + found.take(low + 1, axis) * share
    return found


@pytest.mark.parametrize("size", [7, 16, 40])
def test_linear_interpolates_without_averaging(tmp_path: Path, size: int) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (33, 25), dtype=np.uint8)
    file = saved(tmp_path / "noise.png", Image.fromarray(noise))
    found = Decoder(size, 1, resample="linear")(file)[..., 0]
    assert np.abs(found - interpolated(noise, size)).max() <= 1
    if size < 25:
        assert np.abs(found.astype(int) - Decoder(size, 1)(file)[..., 0]).max() > 40


def test_crop_keeps_the_proportions_of_the_central_square(tmp_path: Path) -> None:
    framed = np.zeros((16, 40), np.uint8)
    framed[:, 12:28] = 255
    file = saved(tmp_path / "wide.png", Image.fromarray(framed))
    assert Decoder(8, 1, fit="crop")(file).min() == 255
    assert Decoder(8, 1)(file).min() == 0
    assert Decoder(8, 1, fit="crop")(saved(tmp_path / "tall.png", Image.fromarray(framed.T))).min() == 255


def test_center_keeps_the_middle(tmp_path: Path) -> None:
    framed = np.zeros((16, 32), np.uint8)
    framed[4:12, 8:24] = 255
    file = saved(tmp_path / "framed.png", Image.fromarray(framed))
    assert Decoder(8, 1, center=0.5)(file).min() == 255


def test_stretch_reaches_255_and_leaves_black_alone() -> None:
    assert stretched(np.array([0, 10, 51], np.uint8)).tolist() == [0, 50, 255]
    assert stretched(np.zeros(3, np.uint8)).tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("content", "reason"), [(b"", "empty"), (b"GIF89a nothing else", "cannot read"), (b"text", "identify")]
)
def test_unreadable_file_is_named_with_remedy(tmp_path: Path, content: bytes, reason: str) -> None:
    file = tmp_path / "broken.jpg"
    file.write_bytes(content)
    with pytest.raises(DataError, match=rf"broken\.jpg.*{reason}|{reason}.*broken\.jpg") as error:
        Decoder(8, 3).on_demand([file])[:]
    assert "on_corrupt = 'skip'" in str(error.value)


def test_truncated_image_is_no_half_image(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64), dtype=np.uint8)
    file = saved(tmp_path / "cut.jpg", Image.fromarray(noise))
    file.write_bytes(file.read_bytes()[:-400])
    with pytest.raises(DataError, match=r"cut\.jpg.*truncated"):
        Decoder(8, 1)(file)


def test_skipped_images_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    files = [saved(tmp_path / f"{i}.png", Image.new("L", (8, 8), 40 * i)) for i in range(4)]
    files[1].write_bytes(b"")
    calls: list[tuple[int, int]] = []
    with caplog.at_level(logging.WARNING, logger="medrobust"):
        images, kept = decode_readable(files, Decoder(8, 1), lambda done, total: calls.append((done, total)))
    assert kept == [0, 2, 3]
    assert images[:, 0, 0, 0].tolist() == [0, 80, 120]
    assert calls == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert "1 of 4 images left out" in caplog.text
    assert "1.png" in caplog.text


def test_nothing_readable_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "0.png").write_bytes(b"")
    with pytest.raises(DataError, match="none of 1 images"):
        decode_readable([tmp_path / "0.png"], Decoder(8, 1), silent)


def test_arrays_at_their_own_size_are_untouched_and_else_resized() -> None:
    images = np.random.default_rng(0).integers(0, 255, (3, 8, 8, 3), dtype=np.uint8)
    assert resize_arrays(images, Decoder(8, 3), silent) is images
    assert resize_arrays(images, Decoder(4, 1), silent).shape == (3, 4, 4, 1)
