"""`judge`: a live network and images in, a judgement out."""

from __future__ import annotations

import copy
import re
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..contracts import decide
from ..engine.data import convert
from ..engine.running.progress import Watcher
from ..engine.session import Session
from ..errors import ModelError
from ..results.evidence.order import other_order
from ..results.evidence.seen import SCALE
from ..results.statistics.rates import group_count
from . import faults as wrong
from .findings import breaks, next_steps, thin_places
from .inputs import UNIT, FoundScale, InputScale, find_scale, logits_of, parse_input
from .judgement import Fault, Judgement
from .pictures import telling
from .results import chance_of, clean_share, moves_of, worst
from .running import Course, Ran
from .subject import Subject, from_arrays
from .timing import parse_time
from .trials import Trials, read_trials
from .words import percent
from .wrapping import Reordered, Repeated

IMAGES: Final = 500
"""Images that are judged, at most, unless more are asked for."""
LOOKED_AT: Final = 128
"""Images by which input scale and order of outputs are found out."""
SLACK: Final = 5.0
"""Seconds that the report takes."""
FOUND: Final = "found out"


@dataclass(frozen=True)
class Options:
    """How a model is judged.

    Attributes:
        input: the input scale as `--input` spells it; `auto` to find it out.
        outputs: names of the classes in the order of the network's outputs; empty to find it out.
        time: seconds; None for as long as it takes.
        trials: what is tried.
        with_images: whether telling images are kept.
        stochastic: whether equal images may get different outputs.
        live: whether the network was handed in as it is in use.
        watcher, say: receive progress.
    """

    input: str = "auto"
    outputs: tuple[str, ...] = ()
    time: float | None = None
    trials: Trials | None = None
    with_images: bool = False
    stochastic: bool = False
    live: bool = True
    watcher: Watcher | None = None
    say: Callable[[str], None] = lambda line: None


def judge(
    module: nn.Module,
    images: NDArray[Any] | Tensor,
    labels: NDArray[Any] | Tensor | Sequence[int] | None = None,
    *,
    classes: Sequence[str] = (),
    groups: Sequence[str] | None = None,
    crafting: tuple[Any, Any] | None = None,
    input: str = "auto",  # noqa: A002 - as the command calls it
    outputs: Sequence[str] = (),
    time: str = "10m",
    limit: int = IMAGES,
    stochastic: bool = False,
    with_images: bool = False,
    store: Path | None = None,
    device: str = "",
    trials: Path | None = None,
    name: str = "model",
    data: str = "images",
    watcher: Watcher | None = None,
) -> Judgement:
    """Judge a network of this process: what breaks it, how small a change suffices, and can the numbers be trusted?

    The network itself is left as it is. `print(judgement)` shows the report; `medrobust_leaderboard.write_judgement`
    writes it as a page.

    Args:
        module: takes float32 images (n, c, h, w), returns logits (n, outputs).
        images: (n, c, h, w), (n, h, w, c) or (n, h, w), as uint8, uint16 or floats in [0, 1].
        labels: class indices (n,), a 0/1 matrix (n, labels), or None: what is counted then are changed decisions.
        classes: names of the classes.
        groups: of each image, such as its patient.
        crafting: other images and labels, to craft universal perturbations and train a surrogate on; a quarter of
            `images` if not given.
        input: what the network takes: `unit` ([0, 1]), `imagenet`, `centre` ([-1, 1]), `bytes` (0 to 255), `xrv`, or
            `mean=0.5 std=0.25`; `auto` finds out.
        outputs: names of the classes in the order of the outputs; found out if not given.
        time: `10m`, `90s`, `1h`; `all` for everything.
        limit: images that are judged at most.
        stochastic: whether equal images may get different outputs.
        with_images: whether the judgement keeps telling images.
        store: a folder for the records; without it they are not kept.
        device: torch device.
        trials: a list of what is tried, in place of the bundled one.
        name, data: what the report calls network and images.
        watcher: receives progress.

    Raises:
        ModelError: if the network does not fit the images.
        DataError: if these are no images, or the labels do not fit them.
    """
    subject = from_arrays(images, labels, classes=classes, groups=groups, crafting=crafting, label=data, limit=limit)
    options = Options(
        input, tuple(outputs), parse_time(time), read_trials(trials), with_images, stochastic, watcher=watcher
    )
    with ExitStack() as stack:
        folder = store or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="medrobust-judge-")))
        found = judge_on(Session(folder, device=device), module, subject, options, name)
        return found if store is not None else replace(found, store=None)


def judge_on(
    session: Session, module: nn.Module, subject: Subject, options: Options, name: str, notes: Sequence[str] = ()
) -> Judgement:
    """Judge a network on images in a session; arguments and errors as of `judge`."""
    begun, processor = time.monotonic(), time.process_time()
    deadline = None if options.time is None else begun + options.time - min(SLACK, options.time / 10)
    faults = [fault] if options.live and (fault := wrong.training_mode(module)) else []
    taken = _Taken.of(module, subject, options)
    faults += taken.faults
    model, dataset = _slug(name, "judged"), _slug(subject.label, "images")
    dataset = dataset if dataset != model else f"{dataset}-images"
    splits = {"test": subject.judged} | ({"train": subject.crafting} if subject.crafting is not None else {})
    session.add_dataset(dataset, splits, classes=taken.classes, task=subject.task, shared_groups=subject.shared_groups)
    session.add_model(model, taken.module, shape=subject.shape, stochastic=options.stochastic)
    trials = options.trials or read_trials()
    course = Course(session, trials, model, dataset, taken.module, subject, deadline, options.watcher, options.say)
    ran = course.run()
    rows = session.evidence(ran.plan)
    clean, chance = clean_share(ran.clean), chance_of(ran.clean)
    if guessing := wrong.guessing(clean, chance):
        faults.append(guessing)
    # A scale that was declared and does not fit has been named with better numbers.
    declared = any(fault.name == DECLARED for fault in faults)
    faults += wrong.flagged(rows, but=(SCALE,) if declared else ())
    faults.sort(key=_gravity)
    checks = wrong.outcomes(rows)
    moves = _moves(ran, taken.classes)
    named = replace(subject, classes=taken.classes)
    pictures = telling(ran, course.trials, named, session, model) if options.with_images else ()
    groups = group_count(ran.clean.groups)
    facts = {
        "images": _images_in_words(subject, ran.images, groups),
        **(
            {"clean": f"{percent(clean)} right; the most frequent class is {percent(chance)}"}
            if clean and chance
            else {}
        ),
        "classes": taken.classes_in_words,
        "input": taken.input_in_words,
        **({"weights": "; ".join(notes)} if notes else {}),
    }
    return Judgement(
        model=name,
        data=subject.label,
        facts=facts,
        faults=tuple(faults),
        checks=checks,
        clean=clean,
        chance=chance,
        results=tuple(ran.results),
        smallest=ran.smallest,
        moves=moves,
        findings=tuple(breaks(ran.results, ran.smallest, clean, moves)),
        thin=tuple(thin_places(ran.results, clean, ran.images, groups, checks)),
        advice=tuple(next_steps(ran.results, faults, clean, ran.left_out, ran.images)),
        left_out=tuple(ran.left_out),
        pictures=pictures,
        seconds=time.monotonic() - begun,
        cpu_seconds=time.process_time() - processor,
        store=session.store.path,
    )


DECLARED: Final = "the network takes another input scale than was declared"
ORDER: Final = "outputs are in another order than the classes"


def _gravity(fault: Fault) -> int:
    """Causes before what follows from them."""
    causes = (DECLARED, ORDER, wrong.BATCH_NORM, *wrong.WORDS.values())
    if fault.name == wrong.CHANCE:
        return len(list(wrong.WORDS)) // 2
    return causes.index(fault.name) if fault.name in causes else len(causes)


@dataclass(frozen=True)
class _Taken:
    """A network as it is judged, and how that was known."""

    module: nn.Module
    classes: tuple[str, ...]
    input_in_words: str
    classes_in_words: str
    faults: tuple[Fault, ...]

    @classmethod
    def of(cls, module: nn.Module, subject: Subject, options: Options) -> _Taken:
        """Put around a network what it needs.

        Raises:
            ModelError: if it does not take the images, or its outputs are not as many as the classes.
        """
        try:
            module = copy.deepcopy(module).cpu().float().eval().requires_grad_(False)
        except Exception as error:
            raise ModelError(f"the network cannot be copied ({error}); hand in one without open files") from error
        images = convert(np.asarray(subject.judged.images[:LOOKED_AT]), subject.shape)
        scale = UNIT if options.input == "auto" else parse_input(options.input)
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
        ordered, told, fault = _declared_order(module, classes, options.outputs)
        module = ordered
        if labels is None:
            how = "declared" if options.input != "auto" else "taken for granted, as there are no labels to find out by"
            scaled = scale.around(module, images.shape[1])
            order = told or "in the order of the outputs"
            return cls(scaled, classes, f"{scale.words} ({how}){note}", f"{', '.join(classes)} ({order})", ())
        found = find_scale(module, images, labels, subject.task, len(classes), scale)
        words, chosen, fault = _scale_in_words(found, scale, len(images), options.input != "auto")
        faults += [fault] if fault else []
        scaled = chosen.around(module, images.shape[1])
        if subject.task == "multiclass" and not options.outputs:
            scaled, told, fault = _found_order(scaled, images, labels, classes)
            faults += [fault] if fault else []
        return cls(
            scaled,
            classes,
            words + note,
            f"{', '.join(classes)} ({told or 'in the order of the outputs'})",
            tuple(faults),
        )


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


def _declared_order(
    module: nn.Module, classes: Sequence[str], outputs: Sequence[str]
) -> tuple[nn.Module, str, Fault | None]:
    if not outputs:
        return module, "", None
    if sorted(outputs) != sorted(classes):
        raise ModelError(f"--outputs: {', '.join(outputs)} are not the classes of the images, {', '.join(classes)}")
    if tuple(outputs) == tuple(classes):
        return module, "declared", None
    order = [list(outputs).index(name) for name in classes]
    return Reordered(module, order), f"declared: outputs are {', '.join(outputs)}", None


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
        ORDER,
        f"{found.now:.0%} of clean images are right as it is, {found.then:.0%} if the outputs are {named}",
        f"It is judged in that order; declare it with --outputs '{','.join(classes[i] for i in found.meaning)}'.",
        corrected=True,
    )
    return Reordered(module, order), f"{FOUND}: outputs are {named}", fault


def _moves(ran: Ran, classes: Sequence[str]) -> dict[tuple[str, str], int]:
    """Where decisions go under the strongest attack at the smallest radius that breaks most."""
    radii = worst(ran.results, ("white-box",))
    if not radii:
        return {}
    _, _, here = next((each for each in radii if each[1].value < 0.5), radii[-1])
    strongest = min(here, key=lambda r: r.kept.value)
    return moves_of(ran.records[strongest.trial, strongest.budget], classes)


def _images_in_words(subject: Subject, count: int, groups: int | None) -> str:
    channels, height, width = subject.shape
    kind = {"uint8": "8 bits", "uint16": "16 bits"}[subject.judged.images.dtype.name]
    of = f" of {groups} patients or groups" if groups is not None else ""
    size = subject.notes.get("size", f"{height}x{width} pixels")
    colour = "grey" if channels == 1 else "colour"
    others = len(subject.crafting) if subject.crafting is not None else 0
    return f"{count}{of}, {subject.notes['images']}, {colour}, {kind}, {size}; {others} others to craft on"


def _slug(text: str, otherwise: str) -> str:
    """A name that grids can give."""
    return re.sub(r"[^A-Za-z0-9._]+", "-", text).strip("-.") or otherwise
