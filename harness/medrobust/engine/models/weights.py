"""Modules of targets: built, initialised, trained, loaded, wrapped."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from datetime import UTC, datetime

import torch
from torch import Tensor, nn

from ...contracts import PUBLISHED, Model, Preprocessing, RandomPreprocessing, Shape
from ...errors import LostError
from ...grid.builder import selection_part
from ...grid.targets import Target
from ...results.lost import made_from
from ...results.store import Store
from ..context import RunContext, hardware, versions
from ..data import load_part
from . import training
from .checkpoints import load_checkpoint
from .random_models import RandomInput


def input_shape(target: Target) -> Shape:
    """What the target's model is built for."""
    channels, height, width = target.shape or (target.info.channels, *target.info.size)
    return Shape(channels, height, width, len(target.info.classes))


def seed_of(target: Target) -> int:
    """Seed of initial weights, order and augmentation: another one for each seed and instance."""
    assert isinstance(target.model.plugin, Model)
    return (target.seed * 1_000_003 + target.model.plugin.instance) % 2**31


def build(target: Target, store: Store, context: RunContext) -> nn.Module:
    """The module with its initial weights.

    Raises:
        ModelError: if the architecture cannot take the shape or the checkpoint does not fit.
    """
    model = target.model.plugin
    assert isinstance(model, Model)
    shape = input_shape(target)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of(target))
        module = model.build(shape)
    if target.pretrained is not None:
        _adopt(module, _weights(target.pretrained.fit_id, target.pretrained, store))
    elif model.init in PUBLISHED:
        model.load_imagenet(module, context.source)
    elif isinstance(model.init, str) and model.init != "random":
        file = context.source.find(model.init, what=f"checkpoint '{model.init}'")
        load_checkpoint(module, file)
    return module


def _adopt(module: nn.Module, state: dict[str, Tensor]) -> None:
    """Take over weights of the same architecture, but for the last layer, whose classes are others."""
    last = [name for name, m in module.named_modules() if isinstance(m, nn.Linear | nn.Conv2d)][-1]
    module.load_state_dict({k: v for k, v in state.items() if not k.startswith(f"{last}.")}, strict=False)


def fit(target: Target, store: Store, context: RunContext, progress: training.Progress | None = None) -> None:
    """Train the model of a target and keep its weights and history in the store."""
    begun = time.perf_counter()
    model = target.model.plugin
    assert isinstance(model, Model)
    shape = input_shape(target)
    size = (shape.channels, shape.height, shape.width)

    def decoding(done: int, total: int) -> None:
        if progress:
            progress(done, total, "decoding")

    part = load_part(target.train, context, size, decoding)
    selection = selection_part(target)
    validation = load_part(selection, context, size, decoding) if selection else None
    module = build(target, store, context)
    history = training.train(
        module, part, validation, model.recipe, seed_of(target), device=context.device, progress=progress
    )
    module.cpu()
    keep(target, target.fit_id, module, store, context, json.dumps(history), time.perf_counter() - begun)


def keep(
    target: Target, identity: str, module: nn.Module, store: Store, context: RunContext, history: str, seconds: float
) -> None:
    """Keep the weights of a module, with their history, under an identity."""
    row = {
        "fit": identity,
        # Copies: layers that share a tensor each keep their own.
        "weights": store.save_tensors({name: tensor.clone() for name, tensor in module.state_dict().items()}),
        "model": target.model.name,
        "dataset": target.train.dataset.name,
        "history": history,
        "seconds": seconds,
        "identity": json.dumps(target.fit_fields if identity == target.fit_id else target.fields),
        "versions": json.dumps(versions()),
        "hardware": hardware(context.device),
        "created": datetime.now(UTC),
    }
    store.write_rows("fits", identity, [row])


def made_from_weights(targets: Iterable[Target | None], store: Store) -> list[str]:
    """The column `made_from` of what is about to be computed with the weights of these targets."""
    identities = dict.fromkeys(target.weights_id() for target in targets if target is not None)
    return made_from({each: content for each in identities if (content := store.weights_of(each))})


def load(target: Target, store: Store, context: RunContext) -> nn.Module:
    """The trained module of a target behind its defense, on the device, frozen, in evaluation mode, in float32."""
    module = load_weights(target, target.weights_id(), store)
    plugin = target.defense.plugin
    if isinstance(plugin, Preprocessing):
        module = plugin.wrap(module)
    elif isinstance(plugin, RandomPreprocessing):
        module = RandomInput(plugin, module)
    return module.to(context.device).float().eval().requires_grad_(False)


def load_weights(target: Target, weights: str, store: Store) -> nn.Module:
    """The target's module with the weights kept under an identity, on the CPU.

    Raises:
        LostError: if they are not there.
    """
    model = target.model.plugin
    assert isinstance(model, Model)
    with torch.random.fork_rng(devices=[]):
        module = model.build(input_shape(target))
    module.load_state_dict(_weights(weights, target, store))
    return module


def _weights(identity: str, target: Target, store: Store) -> dict[str, Tensor]:
    content = store.weights_of(identity)
    if content is None:
        raise LostError(f"the weights of {target.describe()} are not there; run the grid again to train them anew")
    return store.load_tensors(content)
