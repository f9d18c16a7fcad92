"""The field of view of a fundus photograph."""

from __future__ import annotations

import numpy as np
from PIL import Image
from scipy import ndimage

THRESHOLD = 10
"""Grey levels of the green channel above the background that belong to the field of view (wetstein2020's code)."""

_MASK_SIDE = 512


def field_of_view(image: Image.Image) -> Image.Image:
    """The bounding box of the lit disc, padded with black to a square; the image itself if nothing is lit.

    The disc is the largest connected region whose green channel exceeds the threshold, found on a reduced copy of large
    photographs.
    """
    green = image.getchannel("G") if image.mode == "RGB" else image
    factor = max(1, min(image.size) // _MASK_SIDE)
    values = np.asarray(green.reduce(factor))
    background = int(values.min())
    regions, count = ndimage.label(values > (background if background >= THRESHOLD else 0) + THRESHOLD)
    if count == 0:
        return image
    largest = int(np.bincount(regions.ravel())[1:].argmax()) + 1
    rows, columns = ndimage.find_objects(regions, max_label=largest)[largest - 1]
    left, top = columns.start * factor, rows.start * factor
    right, bottom = min(columns.stop * factor, image.width), min(rows.stop * factor, image.height)
    side = max(right - left, bottom - top)
    square = Image.new(image.mode, (side, side))
    square.paste(image.crop((left, top, right, bottom)), ((side - right + left) // 2, (side - bottom + top) // 2))
    return square
