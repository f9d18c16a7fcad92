"""How a network takes images: its input scale, its channels and the order of its outputs, declared or found out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..contracts import decide
from ..engine.data import convert
from ..errors import ModelError
from ..results.evidence.order import other_order
from ..results.evidence.seen import LOGITS
from .faults import DECLARED, OTHER_ORDER, WORDS
from .inputs import UNIT, FoundScale, InputScale, find_scale, logits_of, parse_input
from .judgement import Fault
from .subject import Subject
from .wrapping import Paired, Reordered, Repeated, copy_of

LOOKED_AT: Final = 128
"""Images by which input scale and order of outputs are found out."""
FOUND: Final = "found out"


@dataclass(frozen=True)
class Taken:
    """A network as it is judged, and how that was known.

    Attributes:
        module: takes images in [0, 1], with outputs in the order of the classes.
        classes: their names.
        input_in_words, classes_in_words: what is said of input and outputs.
        faults: what is wrong with either.
    """

    module: nn.Module
    classes: tuple[str, ...]
    input_in_words: str
    classes_in_words: str
    faults: tuple[Fault, ...] = ()


def take(module: nn.Module, subject: Subject, declared_input: str, declared_outputs: tuple[str, ...]) -> Taken:
    """Put around a network what it needs.

    Args:
        module: as it was handed in; it is left as it is.
        subject: the images.
        declared_input: the input scale as `--input` spells it; `auto` to find it out.
        declared_outputs: names of the classes in the order of the outputs; empty to find it out.

    Raises:
        ModelError: if it does not take the images, or its outputs are not as many as the classes.
    """
    try:
        module = copy_of(module)
    except Exception as error:
        raise ModelError(f"the network cannot be copied ({error}); hand in one without open files") from error
    declared = declared_input != "auto"
    scale = parse_input(declared_input) if declared else UNIT
    images = convert(np.asarray(subject.judged.images[:LOOKED_AT]), subject.shape)
    repeated = _needs_three_channels(module, images, scale)
    images = images.expand(-1, 3, -1, -1) if repeated else images
    outputs = _outputs(scale.around(module, images.shape[1]), images)
    classes = _named(subject, outputs)
    if outputs == 1 and subject.task == "multiclass":
        module = Paired(module)
    module, order = _declared_order(module, classes, declared_outputs)
    labels = None if subject.judged.labels is None else subject.judged.labels[:LOOKED_AT]
    faults: list[Fault | None] = []
    if labels is None:
        how = "declared" if declared else "taken for granted, as there are no labels to find out by"
        module, words = scale.around(module, images.shape[1]), f"{scale.words} ({how})"
    else:
        found = find_scale(module, images, labels, subject.task, len(classes), scale)
        words, scale, fault = _scale_in_words(found, scale, len(images), declared)
        module = scale.around(module, images.shape[1])
        faults.append(fault)
        if subject.task == "multiclass" and not declared_outputs:
            module, order, fault = _found_order(module, images, labels, classes)
            faults.append(fault)
    if outputs == 1:
        faults.append(_probability(module, images))
    if repeated:
        module, words = Repeated(module), f"{words}; grey images are repeated for its three channels"
    told = f"{', '.join(classes)} ({order or 'in the order of the outputs'})"
    return Taken(module, classes, words, told, tuple(fault for fault in faults if fault is not None))


def _named(subject: Subject, outputs: int) -> tuple[str, ...]:
    """Names of the classes; of images without labels, those of the outputs.

    Raises:
        ModelError: if there are not as many as outputs.
    """
    classes = subject.classes or tuple(f"output {i}" for i in range(max(outputs, 2)))
    if outputs == len(classes) or (outputs, len(classes), subject.task) == (1, 2, "multiclass"):
        return classes
    what = "labels" if subject.task == "multilabel" else "classes"
    listed = ", ".join(classes[:5]) + (", ..." if len(classes) > 5 else "")
    raise ModelError(
        f"the network gives {outputs} outputs, and the images have {len(classes)} {what} ({listed}); name the images "
        "or the network that belong together"
    )


def _needs_three_channels(module: nn.Module, images: Tensor, scale: InputScale) -> bool:
    """Whether grey images have to be repeated for it.

    Raises:
        ModelError: if it does not take the images at all.
    """
    error = _raised(scale.around(module, images.shape[1]), images)
    if error is None:
        return False
    if images.shape[1] == 1 and _raised(scale.around(module, 3), images.expand(-1, 3, -1, -1)) is None:
        return True
    size = "x".join(map(str, images.shape[1:]))
    cause = " ".join(str(error).split())[:300]
    raise ModelError(f"the network does not take float32 images (n, {size}): {cause}") from error


def _raised(module: nn.Module, images: Tensor) -> Exception | None:
    try:
        with torch.no_grad():
            module(images[:2])
    except Exception as error:  # noqa: BLE001 - whatever somebody's network raises
        return error
    return None


def _outputs(module: nn.Module, images: Tensor) -> int:
    with torch.no_grad():
        logits = module(images[:2])
    if not isinstance(logits, Tensor) or logits.ndim != 2 or len(logits) != len(images[:2]):
        given = f"shape {tuple(logits.shape)}" if isinstance(logits, Tensor) else type(logits).__name__
        raise ModelError(f"the network must give logits (n, outputs) for images (n, c, h, w); it gives {given}")
    return int(logits.shape[1])


def _probability(module: nn.Module, images: Tensor) -> Fault | None:
    """Whether the single output of a network looks like a probability."""
    output = logits_of(module, images).sum(axis=1)  # the other one is 0, in whichever order
    if not ((output >= 0) & (output <= 1)).all():
        return None
    return Fault(
        WORDS[LOGITS],
        "the only output lies in [0, 1] for every image",
        "Return the logit before the sigmoid, positive for the second class; otherwise every image is of that class.",
    )


def _scale_in_words(
    found: FoundScale, scale: InputScale, images: int, declared: bool
) -> tuple[str, InputScale, Fault | None]:
    """What is said of the input scale, which one is taken, and the fault if another was declared."""
    best = found.scale
    told = f"{found.score(best):.0%} of {images} clean images"
    if declared:
        if not found.better:
            return f"{scale.words} (declared; {told} are right so)", scale, None
        fault = Fault(
            DECLARED,
            f"{found.score(scale):.0%} of {images} clean images are right with '{scale.name}', {found.score(best):.0%} "
            f"with '{best.name}'",
            f"It seems to take {best.words}: try --input '{best.name}'.",
        )
        return f"{scale.words} (declared)", scale, fault
    if found.better:
        beside = ", ".join(f"'{s.name}' {v:.0%}" for s, v in found.scores if s != best)
        return f"{best.words} ('{best.name}', {FOUND}: {told} are right so; {beside})", best, None
    if found.alike:
        names = ", ".join(f"'{s.name}'" for s in found.alike)
        return f"{best.words} ({told} are right so; no different from {names}; --input declares one)", best, None
    return f"{best.words} ({FOUND}: {told} are right so, fewer otherwise)", best, None


def _declared_order(module: nn.Module, classes: Sequence[str], outputs: Sequence[str]) -> tuple[nn.Module, str]:
    """The network with its outputs in the order of the classes, and what is said of that."""
    if not outputs:
        return module, ""
    if sorted(outputs) != sorted(classes):
        raise ModelError(f"--outputs: {', '.join(outputs)} are not the classes of the images, {', '.join(classes)}")
    if tuple(outputs) == tuple(classes):
        return module, "declared"
    order = [list(outputs).index(name) for name in classes]
    return Reordered(module, order), f"declared: outputs are {', '.join(outputs)}"


def _found_order(
    module: nn.Module, images: Tensor, labels: NDArray[np.int64], classes: Sequence[str]
) -> tuple[nn.Module, str, Fault | None]:
    """The outputs in the order of the classes, where clean images show another one."""
    decided = np.asarray(decide(logits_of(module, images), multilabel=False))
    found = other_order(decided, labels, len(classes))
    if found is None:
        return module, "", None
    order = [found.meaning.index(i) for i in range(len(classes))]
    named = ", ".join(classes[i] for i in found.meaning)
    fault = Fault(
        OTHER_ORDER,
        f"{found.now:.0%} of clean images are right as it is, {found.then:.0%} if the outputs are {named}",
        f"It is judged in that order; declare it with --outputs '{','.join(classes[i] for i in found.meaning)}'.",
        corrected=True,
    )
    return Reordered(module, order), f"{FOUND}: outputs are {named}", fault
