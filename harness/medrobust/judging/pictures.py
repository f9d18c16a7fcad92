"""The most telling images: those that a small change breaks although the model was sure of them."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..contracts import ImageData
from ..engine.session import Session
from ..results.outcomes import confidence, decisions
from ..results.record import Record
from .judgement import Picture
from .running import Ran
from .subject import Subject
from .trials import Trials

COUNT: Final = 6
NAME: Final = "telling-images"


def telling(ran: Ran, trials: Trials, subject: Subject, session: Session, model: str) -> tuple[Picture, ...]:
    """The images that the weakest sufficient attack breaks, the surest first, of every class in turn.

    They are crafted again, as the cell did: the numbers that an image draws follow from its id.
    """
    broken = [r for r in ran.results if r.kind == "white-box" and (r.counted & ~r.stays).any()]
    if not broken:
        return ()
    result = min(broken, key=lambda r: (r.eps, -int((r.counted & ~r.stays).sum())))
    record = ran.records[result.trial, result.budget]
    chosen = _surest(record, result.counted & ~result.stays)
    places = {identity: place for place, identity in enumerate(subject.judged.ids.tolist())}
    index = np.array(sorted(places[str(record.ids[i])] for i in chosen), dtype=np.int64)
    data = subject.judged.take(index)
    data = ImageData(np.ascontiguousarray(data.images[:]), data.labels, data.ids, data.groups)
    session.add_dataset(NAME, {"test": data}, classes=_classes(subject, record), task=subject.task)
    table = {**trials.of(result.trial).table, "dataset": NAME, "model": model, "budget": result.budget, "stop": "full"}
    if record.labels is None:
        table["goal"] = "predicted"
    plan = session.plan(
        {"define": dict(trials.define), "grid": [{**table, "probe": {"name": "examples", "per_class": COUNT}}]}
    )
    session.run(plan)
    names = _classes(subject, record)
    pictures = []
    for identity, (cell, _) in plan.probes.items():
        arrays = session.store.load_tensors(session.store.artifact(identity))
        found = dict(session.store.records([cell.id]))[cell.id]
        for row, place in enumerate(np.asarray(arrays["positions"]).tolist()):
            clean, adversarial = (np.asarray(arrays[key][row]).transpose(1, 2, 0) for key in ("clean", "adversarial"))
            before, after = (_said(found, logits, place, names) for logits in (found.clean, found.adversarial))
            levels = 255 * float(found.linf[place])
            change = f"at most {levels:.2g} grey level{'' if round(levels, 2) == 1 else 's'}"
            pictures.append(Picture(clean, adversarial, before, after, change))
    return tuple(pictures)


def _classes(subject: Subject, record: Record) -> tuple[str, ...]:
    if subject.classes:
        return subject.classes
    return tuple(f"output {i}" for i in range(max(record.clean.shape[1], 2)))


def _surest(record: Record, broken: NDArray[np.bool_]) -> list[int]:
    """Places of broken images, the surest decisions first, of each decision in turn."""
    sure: NDArray[Any] = confidence(record.clean) if record.task == "multiclass" else np.abs(record.clean).min(axis=1)
    decided = decisions(record, record.clean)
    kinds = decided if decided.ndim == 1 else decided.sum(axis=1)
    queues = [
        sorted(np.flatnonzero(broken & (kinds == kind)).tolist(), key=lambda i: -float(sure[i]))
        for kind in np.unique(kinds[broken])
    ]
    chosen: list[int] = []
    while any(queues) and len(chosen) < COUNT:
        chosen += [queue.pop(0) for queue in queues if queue]
    return chosen[:COUNT]


def _said(record: Record, logits: NDArray[np.float32], place: int, classes: tuple[str, ...]) -> str:
    """What the model says of an image."""
    one = decisions(record, logits)[place]
    if record.task == "multilabel":
        named = [name for name, there in zip(classes, one.tolist(), strict=True) if there]
        return ", ".join(named) or "nothing"
    return f"{classes[int(one)]}, {100 * float(confidence(logits)[place]):.0f} %"
