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
from .faults import DECLARED, OTHER_ORDER
from .inputs import UNIT, FoundScale, InputScale, find_scale, logits_of, parse_input
from .judgement import Fault
from .subject import Subject
from .wrapping import Reordered, Repeated, copy_of

LOOKED_AT: Final = 128
"""Images by which input scale and order of outputs are found out."""
FOUND: Final = "found out"


@dataclass(frozen=True)
class Taken:
    """A network as it is judged, and how that was known."""

    module: nn.Module
    classes: tuple[str, ...]
    input_in_words: str
    classes_in_words: str
    faults: tuple[Fault, ...]

    @classmethod
    def of(cls, module: nn.Module, subject: Subject, declared_input: str, declared_outputs: tuple[str, ...]) -> Taken:
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
        images = convert(np.asarray(subject.judged.images[:LOOKED_AT]), subject.shape)
        scale = UNIT if declared_input == "auto" else parse_input(declared_input)
        module, note = _fitting_channels(module, images, scale)
        outputs = _outputs(scale.around(module, images.shape[1]), images)
        classes = subject.classes or tuple(f"output {i}" for i in range(max(outputs, 2)))
        if outputs != len(classes) and (outputs, len(classes), subject.task) != (1, 2, "multiclass"):
            raise ModelError(
                f"the network gives {outputs} outputs, and the images have {len(classes)} "
                f"{'labels' if subject.task == 'multilabel' else 'classes'} ({', '.join(classes[:5])}"
                f"{', ...' if len(classes) > 5 else ''}); name the images or the network that belong together"
            )
        faults: list[Fault] = []
        labels = None if subject.judged.labels is None else subject.judged.labels[:LOOKED_AT]
        module, told = _declared_order(module, classes, declared_outputs)
        if labels is None:
            how = "declared" if declared_input != "auto" else "taken for granted, as there are no labels to find out by"
            scaled = scale.around(module, images.shape[1])
            return cls(scaled, classes, f"{scale.words} ({how}){note}", _classes_in_words(classes, told), ())
        found = find_scale(module, images, labels, subject.task, len(classes), scale)
        words, chosen, fault = _scale_in_words(found, scale, len(images), declared_input != "auto")
        faults += [fault] if fault else []
        scaled = chosen.around(module, images.shape[1])
        if subject.task == "multiclass" and not declared_outputs:
            scaled, told, fault = _found_order(scaled, images, labels, classes)
            faults += [fault] if fault else []
        return cls(
            scaled,
            classes,
            words + note,
            f"{', '.join(classes)} ({told or 'in the order of the outputs'})",
            tuple(faults),
        )


def _classes_in_words(classes: Sequence[str], told: str) -> str:
    return f"{', '.join(classes)} ({told or 'in the order of the outputs'})"


def _fitting_channels(module: nn.Module, images: Tensor, scale: InputScale) -> tuple[nn.Module, str]:
    """The network, with grey images repeated where it takes three channels only."""
    try:
        logits_of(scale.around(module, images.shape[1]), images[:2])
    except Exception as error:
        if images.shape[1] == 1:
            repeated = Repeated(module)
            try:
                logits_of(repeated, images[:2])
            except Exception:  # noqa: BLE001 - the first error is the one to tell
                pass
            else:
                return repeated, "; grey images are repeated for its three channels"
        size = "x".join(map(str, images.shape[1:]))
        cause = " ".join(str(error).split())[:300]
        raise ModelError(f"the network does not take float32 images (n, {size}): {cause}") from error
    return module, ""


def _outputs(module: nn.Module, images: Tensor) -> int:
    with torch.no_grad():
        logits = module(images[:2])
    if not isinstance(logits, Tensor) or logits.ndim != 2 or len(logits) != 2:
        given = f"shape {tuple(logits.shape)}" if isinstance(logits, Tensor) else type(logits).__name__
        raise ModelError(f"the network must give logits (n, outputs) for images (n, c, h, w); it gives {given}")
    return int(logits.shape[1])


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
