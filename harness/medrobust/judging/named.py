"""Judging what a command names: a factory, plugin or file of a model, and a folder or plugin of images."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from ..contracts import Shape
from ..engine.session import Session
from ..errors import ModelError
from .judge import IMAGES, JudgeOptions, judge_on
from .judgement import Judgement
from .modules import Built, channels_of, from_factory, from_file, from_plugin, is_file, is_plugin
from .subject import Subject, dataset_of, from_dataset


def judge_named(
    session: Session,
    model: str,
    data: str,
    options: JudgeOptions,
    *,
    weights: Path | None = None,
    model_args: str = "",
    size: int | None = None,
    channels: int | None = None,
    limit: int = IMAGES,
    trust_code: bool = False,
) -> Judgement:
    """Judge a model on images, both by name; see `medrobust judge --help`.

    Args:
        session: plugins, store and hardware.
        model: `package.module:name` or `file.py:name` that gives the network, a model plugin (a name, or a table as in
            a grid), or a file that holds a whole model.
        data: a folder, or a data set plugin (a name, or a table as in a grid).
        options: how it is judged.
        weights: a file of weights.
        model_args: arguments of the factory, as a table.
        size: of the images of a folder, in pixels; found out if not given.
        channels: likewise: 1 or 3.
        limit: images that are judged at most.
        trust_code: whether files may be opened that run code when they are loaded.

    Raises:
        ModelError: if the network cannot be had, does not fit its weights or the images, or needs code to be trusted.
        DataError: if the images cannot be read.
    """
    built: Built | None = None
    if not is_plugin(model, session.registry) or is_file(model):
        if is_file(model):
            if weights is not None:
                raise ModelError("--weights is for a network that --model builds; this --model is a file of its own")
            built = from_file(Path(model), trust_code=trust_code)
        else:
            built = from_factory(model, model_args, weights, trust_code=trust_code)
        channels = channels or channels_of(built.module)
    elif model_args:
        raise ModelError("--model-args is for a factory; parameters of a plugin stand in its table")
    dataset, notes = dataset_of(data, session, size=size, channels=channels)
    options.say("reading the images")
    subject = from_dataset(dataset, session, limit=limit, label=_label(data, dataset.label), notes=notes)
    if built is None:
        built = from_plugin(
            model, weights, _shape(subject), session.registry, session.context.source, trust_code=trust_code
        )
    return judge_on(session, built.module, subject, options, built.label, _said(built.module, built.notes))


def _shape(subject: Subject) -> Shape:
    if not subject.classes:
        raise ModelError(
            "a model plugin is built for the classes of its data set, and these images have none; name what builds the "
            "network: --model my_package.nets:build"
        )
    return Shape(*subject.shape, len(subject.classes))


def _label(text: str, otherwise: str) -> str:
    """What a report calls images: the name of their folder, or of the plugin."""
    return Path(text).expanduser().absolute().name if "=" not in text and Path(text).is_dir() else otherwise


def _said(module: nn.Module, notes: tuple[str, ...]) -> tuple[str, ...]:
    count = sum(p.numel() for p in module.parameters())
    return (f"{count:,} parameters", *notes)
