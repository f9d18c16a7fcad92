"""How fast architectures are on a device: measured for a few seconds each."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import torch

from ..contracts import DataInfo, ImageData, Shape, Untargeted
from ..grid.blocks import Grid
from ..grid.builder import pretraining_of
from ..grid.metadata import MetadataCache
from ..plugins.specs import Spec
from .context import RunContext
from .crafting.batches import batch_size_for, out_of_memory
from .data import LoadedPart
from .models import training
from .models.classifier import TorchClassifier
from .numerics import ieee_float32
from .running.process import set_up
from .throughput import Architecture, Throughput

SAMPLE = 2
"""Images by which a prepared model is checked before it is timed."""


def architectures_of(grid: Grid, metadata: MetadataCache) -> Iterator[Architecture]:
    """Every architecture of a grid at the size of every data set, once; also of data sets whose files are missing.

    A pre-training counts as one of its own: its recipe may take another time for an image.
    """
    seen: set[str] = set()
    for block in grid.blocks:
        models = [choice.value for choice in block.axes["model"]]
        for choice in block.axes["surrogate"]:
            models += [value for axis, value in choice.value.patch if axis == "model"]
        models += [base for model in models if (base := pretraining_of(model, metadata.registry)) is not None]
        for dataset in block.axes["dataset"]:
            shape = _shape(dataset.value, metadata)
            for model in models:
                if shape is None:
                    continue
                found = Architecture(model.label, model.plugin, *shape, block.threads)
                if found.key not in seen:
                    seen.add(found.key)
                    yield found


def _shape(dataset: Spec, metadata: MetadataCache) -> tuple[tuple[int, int, int], int] | None:
    """(channels, height, width) and the number of classes; of absent data what its fields say, with two classes."""
    info = metadata.described(dataset)
    if info is not None:
        return (info.channels, *info.size), len(info.classes)
    size, channels = (getattr(dataset.plugin, name, None) for name in ("size", "channels"))
    return ((channels, size, size), 2) if isinstance(size, int) and isinstance(channels, int) else None


def measure(architecture: Architecture, context: RunContext, seconds: float) -> Throughput:
    """The throughput of an architecture with random weights, each kind of pass timed for so many seconds.

    Raises:
        ModelError: if it cannot be built for this size.
    """
    device = context.device
    if not device.startswith("cuda"):
        set_up()
    before = torch.get_num_threads()
    torch.set_num_threads(architecture.threads)
    try:
        with ieee_float32(), torch.random.fork_rng(devices=[]):
            module = architecture.model.build(Shape(*architecture.shape, architecture.outputs)).to(device)
            trained = _training_rate(module, architecture, device, seconds)
            forward, gradient = crafting_rates(module, architecture.shape, architecture.outputs, context, seconds)
            return Throughput(forward, gradient, trained)
    finally:
        torch.set_num_threads(before)


def crafting_rates(
    module: torch.nn.Module, shape: tuple[int, int, int], outputs: int, context: RunContext, seconds: float
) -> tuple[float, float]:
    """Images of a shape (channels, height, width) that pass through a module in a second: forward, with gradient."""
    sample = torch.rand(SAMPLE, *shape, device=context.device)
    classifier = TorchClassifier(module.eval(), "multiclass", outputs, context.acceleration, sample)
    size = batch_size_for(classifier.activation_bytes, context.device)
    while True:
        images = torch.rand(size, *shape, device=context.device)
        loss = Untargeted(torch.zeros(size, dtype=torch.int64, device=context.device)).loss
        try:
            gradient = images_per_second(lambda: classifier.gradient(images, loss), size, context.device, seconds)  # noqa: B023
            return images_per_second(lambda: classifier.logits(images), size, context.device, seconds), gradient  # noqa: B023
        except (MemoryError, RuntimeError) as error:
            if size == 1 or not out_of_memory(error):
                raise
            size //= 2


def _training_rate(module: torch.nn.Module, architecture: Architecture, device: str, seconds: float) -> float:
    # At a rate at which random labels teach nothing and nothing diverges.
    settings = {"epochs": 1, "learning_rate": 1e-9, "balance": "none", "schedule": "constant", "select_on": "last"}
    recipe = replace(architecture.model.recipe, **settings)  # type: ignore[arg-type]
    channels, height, width = architecture.shape
    count = max(recipe.batch_size, architecture.outputs)
    pixels = np.random.default_rng(0).integers(0, 256, (count, height, width, channels), dtype=np.uint8)
    data = ImageData(pixels, np.arange(count) % architecture.outputs, np.arange(count).astype(str))
    info = DataInfo(tuple(map(str, range(architecture.outputs))), (height, width), channels)
    part = LoadedPart(data, info, architecture.shape)
    once = images_per_second(
        lambda: training.train(module, part, None, recipe, 0, device=device), count, device, seconds / 4
    )
    epochs = int(seconds * once / count)
    if epochs < 2:
        return once
    # Of a fast model, a call has to be long for its beginning and end to count for little.
    more = replace(recipe, epochs=epochs)
    return images_per_second(
        lambda: training.train(module, part, None, more, 0, device=device), count * epochs, device, seconds
    )


def images_per_second(run: Callable[[], object], images: int, device: str, seconds: float) -> float:
    """Images a second of something that takes so many at once.

    The first time never counts: what a process loads and compiles only once took most of it.
    """

    def settled() -> float:
        if device.startswith("cuda"):
            torch.cuda.synchronize()
        return time.perf_counter()

    run()
    begun, times = settled(), 0
    while (spent := settled() - begun) < seconds or not times:
        run()
        times += 1
    return images * times / spent
