"""`judge`: a live network and images in, a judgement out."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import monotonic, process_time
from typing import Any, Final

from numpy.typing import NDArray
from torch import Tensor, nn

from ..engine.running.progress import Watcher
from ..engine.session import Session
from ..results.evidence.seen import SCALE
from ..results.statistics.rates import group_count
from . import faults as wrong
from .findings import breaks, next_steps, thin_places
from .judgement import Fault, Judgement, Share
from .pictures import telling
from .results import chance_of, clean_share, moves_of, worst
from .running import Course, Ran
from .subject import Subject, from_arrays
from .taking import take
from .timing import parse_time
from .trials import Trials, read_trials
from .words import percent

IMAGES: Final = 500
"""Images that are judged, at most, unless more are asked for."""
SLACK: Final = 5.0
"""Seconds that the report takes."""


@dataclass(frozen=True)
class JudgeOptions:
    """How a model is judged.

    Attributes:
        input: the input scale as `--input` spells it; `auto` to find it out.
        outputs: names of the classes in the order of the network's outputs; empty to find it out.
        time: seconds; None for as long as it takes.
        trials: what is tried.
        with_images: whether telling images are kept.
        stochastic: whether equal images may get different outputs.
        live: whether the network was handed in as it is in use.
        watcher: receives progress of the run.
        say: receives what is done, in words.
        begun: `time.monotonic()` from which the time counts.
    """

    input: str = "auto"
    outputs: tuple[str, ...] = ()
    time: float | None = None
    trials: Trials | None = None
    with_images: bool = False
    stochastic: bool = False
    live: bool = False
    watcher: Watcher | None = None
    say: Callable[[str], None] = lambda line: None
    begun: float = field(default_factory=monotonic)

    @classmethod
    def of(cls, *, time: str = "10m", trials: Path | None = None, **others: Any) -> JudgeOptions:
        """With the time as `--time` spells it, and the list of trials in a file.

        Raises:
            MedrobustError: if the time is none.
            GridError: if the file is no list of trials.
        """
        return cls(time=parse_time(time), trials=read_trials(trials), **others)


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
        name: what the report calls the network.
        data: what it calls the images.
        watcher: receives progress.

    Raises:
        ModelError: if the network does not fit the images.
        DataError: if these are no images, or the labels do not fit them.
    """
    subject = from_arrays(images, labels, classes=classes, groups=groups, crafting=crafting, label=data, limit=limit)
    options = JudgeOptions.of(
        input=input,
        outputs=tuple(outputs),
        time=time,
        trials=trials,
        with_images=with_images,
        stochastic=stochastic,
        live=True,
        watcher=watcher,
    )
    with ExitStack() as stack:
        folder = store or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="medrobust-judge-")))
        found = judge_on(Session(folder, device=device), module, subject, options, name)
        return found if store is not None else replace(found, store=None)


def judge_on(
    session: Session, module: nn.Module, subject: Subject, options: JudgeOptions, name: str, notes: Sequence[str] = ()
) -> Judgement:
    """Judge a network on images in a session; arguments and errors as of `judge`."""
    processor = process_time()
    deadline = None if options.time is None else options.begun + options.time - min(SLACK, options.time / 10)
    faults = [fault] if options.live and (fault := wrong.training_mode(module)) else []
    taken = take(module, subject, options.input, options.outputs)
    faults += taken.faults
    # No name of a plugin: those of the bundled ones cannot be taken.
    model, dataset = f"judged-{_slug(name)}", f"{_slug(subject.label)}-images"
    splits = {"test": subject.judged} | ({"train": subject.crafting} if subject.crafting is not None else {})
    session.add_dataset(dataset, splits, classes=taken.classes, task=subject.task, shared_groups=subject.shared_groups)
    session.add_model(model, taken.module, shape=subject.shape, stochastic=options.stochastic)
    trials = options.trials or read_trials()
    course = Course(
        session,
        trials,
        model,
        dataset,
        taken.module,
        subject,
        deadline,
        options.watcher,
        options.say,
        stochastic=options.stochastic,
    )
    ran = course.run()
    rows = session.evidence(ran.plan)
    clean, chance = clean_share(ran.clean), chance_of(ran.clean)
    if guessing := wrong.guessing(clean, chance):
        faults.append(guessing)
    # A scale that was declared and does not fit has been named with better numbers.
    declared = any(fault.name == wrong.DECLARED for fault in faults)
    faults += wrong.flagged(rows, but=(SCALE,) if declared else ())
    faults.sort(key=_gravity)
    checks = wrong.outcomes(rows)
    moves = _moves(ran, taken.classes)
    named = replace(subject, classes=taken.classes)
    pictures = telling(ran, course.trials, named, session, model) if options.with_images else ()
    groups = group_count(ran.clean.groups)
    facts = {
        "images": _images_in_words(subject, ran.images, groups),
        "clean": f"{percent(clean)} right; {percent(chance)} are of the most frequent class"
        if clean and chance
        else "",
        "classes": taken.classes_in_words,
        "input": taken.input_in_words,
        "weights": "; ".join(notes),
    }
    return Judgement(
        model=name,
        data=subject.label,
        facts={topic: text for topic, text in facts.items() if text},
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
        seconds=monotonic() - options.begun,
        cpu_seconds=process_time() - processor,
        store=session.store.path,
    )


def _gravity(fault: Fault) -> int:
    """Causes before what follows from them."""
    return wrong.GRAVITY.index(fault.name) if fault.name in wrong.GRAVITY else len(wrong.GRAVITY)


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


def _clean_in_words(clean: Share | None, chance: float | None) -> dict[str, str]:
    if clean is None or chance is None:
        return {}
    return {"clean": f"{percent(clean)} right; {percent(chance)} are of the most frequent class"}


def _slug(text: str) -> str:
    """A text as part of a name that grids can give."""
    return re.sub(r"[^A-Za-z0-9._]+", "-", text).strip("-.")
