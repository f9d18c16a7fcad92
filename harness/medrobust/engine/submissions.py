"""Verifying a submission: what can be told from its content alone, then a sample of its cells is run again."""

from __future__ import annotations

import contextlib
import hashlib
import json
import random
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import StoreError
from ..plugins.recorded import recorded_with
from ..plugins.source import source_hash
from ..results.inventory import Inventory
from ..results.samples import Samples
from ..results.submission import Submission
from .records import ContradictionError, NotRunnableError, restored
from .running.progress import Watcher
from .session import Session
from .verification import Verification, in_words, verify_cells

MISSING = "its samples, its weights or its perturbation are not those that the submission holds"
OTHER_IMAGES = "its images, labels or patients are not those of the other records of the same part"
OTHER_REQUEST = "the run that asked for it names another slot or clean record than it has"
OTHER_SOURCE = "the source of {names} in the archive is not the one that made this record"


@dataclass(frozen=True)
class Findings:
    """What became of a submission.

    Attributes:
        total: cells in it.
        contradictions: cells that cannot be as they are told, seen without running anything.
        foreign: plugins that are not here, and how many cells need each; these cells were not drawn.
        candidates: cells that can be run here, of which the sample was drawn.
        drawn: the sample, and what running it again gave.
    """

    total: int
    contradictions: tuple[Verification, ...] = ()
    foreign: Mapping[str, int] = field(default_factory=dict)
    candidates: int = 0
    drawn: tuple[Verification, ...] = ()

    @property
    def different(self) -> int:
        """Cells that are not as they are told."""
        return len(self.contradictions) + sum(each.outcome == "different" for each in self.drawn)

    @property
    def unverified(self) -> bool:
        """Whether there are cells of which nothing can be said here."""
        return bool(self.foreign) or any(each.outcome == "not run" for each in self.drawn)


@contextlib.contextmanager
def importable(submission: Submission) -> Iterator[None]:
    """Let the installed distributions of a submission be found, after all that is installed here: foreign code runs."""
    added = [str(folder) for folder in submission.folders]
    sys.path.extend(added)
    try:
        yield
    finally:
        for each in added:
            with contextlib.suppress(ValueError):
                sys.path.remove(each)


def plugin_files(submission: Submission, given: tuple[Path, ...]) -> tuple[Path, ...]:
    """The local plugin files to load for a submission: those given, and those in it that have no namesake there."""
    stems = {file.stem for file in given}
    return (*given, *(file for file in submission.plugin_files if file.stem not in stems))


def verify_submission(
    submission: Submission,
    session: Session,
    *,
    sample: int,
    seed: int,
    refit: bool = False,
    watcher: Watcher | None = None,
) -> Findings:
    """Verify a submission with the plugins of a session.

    Every cell is held against itself: its columns, definition and identity, the source in the archive, and the images
    and labels of its part. Of those that can be run here a sample is drawn and run again.

    Args:
        submission: that was unpacked.
        session: on a store of its own that holds nothing yet; its plugins are those of this machine, and those of the
            submission only if its code is trusted.
        sample: how many cells to draw.
        seed: what they are drawn with.
        refit: as of `verify_cells`.
        watcher: receives progress.

    Raises:
        StoreError: if its tables cannot be read, or are not what it says of itself.
    """
    store = submission.store
    rows: dict[str, dict[str, Any]] = {
        str(row["cell"]): {str(k): v for k, v in row.items()} for row in store.cells().to_dict("records")
    }
    seen = _examine(submission, session, rows)
    if store.damaged:
        named = ", ".join(f"{each.name} ({each.why})" for each in store.damaged)
        raise StoreError(f"{submission.file}: holds tables that cannot be read: {named}")
    if len(rows) != submission.facts.cells:
        raise StoreError(f"{submission.file}: says that it has {submission.facts.cells} cells, and has {len(rows)}")
    drawn = random.Random(seed).sample(seen.candidates, min(sample, len(seen.candidates)))
    hashed = submission.facts.ids == "hashed"
    again = verify_cells(store, drawn, session, refit=refit, by_position=hashed, watcher=watcher) if drawn else []
    told = sorted(seen.contradictions.items())
    contradictions = tuple(Verification(cell, in_words(rows[cell]), "different", why) for cell, why in told)
    return Findings(len(rows), contradictions, dict(seen.foreign), len(seen.candidates), tuple(again))


@dataclass
class _Seen:
    """What can be seen of cells without running them: what is wrong with some, which plugins others lack, the rest."""

    contradictions: dict[str, str]
    foreign: Counter[str] = field(default_factory=Counter)
    candidates: list[str] = field(default_factory=list)


def _examine(submission: Submission, session: Session, rows: Mapping[str, Mapping[str, Any]]) -> _Seen:
    inventory = Inventory.of(submission.store)
    there = sorted(inventory.having("current", "failed", "superseded") & rows.keys())
    seen = _Seen(dict.fromkeys(inventory.having("missing") & rows.keys(), MISSING))
    seen.contradictions |= _other_images(submission, rows, there)
    for cell in there:
        lacking, altered = _plugins(rows[cell], submission, session)
        if altered:
            seen.contradictions.setdefault(cell, OTHER_SOURCE.format(names=", ".join(altered)))
        elif lacking:
            seen.foreign.update(lacking)
        else:
            try:
                restored(rows[cell], session.metadata)
            except ContradictionError as error:
                seen.contradictions.setdefault(cell, str(error))
            except NotRunnableError:
                pass  # told where it is drawn
            seen.candidates.append(cell)
    seen.contradictions = _other_requests(submission, rows) | seen.contradictions
    seen.candidates = [cell for cell in seen.candidates if cell not in seen.contradictions]
    return seen


def _plugins(row: Mapping[str, Any], submission: Submission, session: Session) -> tuple[list[str], list[str]]:
    """Plugins of a cell that are not here, and those whose source in the archive did not make it."""
    try:
        identity = json.loads(row["identity"])
        recorded = list(recorded_with(identity, session.registry))
    except (TypeError, ValueError, RecursionError):
        return [], []  # a contradiction that restoring the cell tells
    lacking: dict[str, None] = {}
    altered: dict[str, None] = {}
    for fields, offer in recorded:
        if offer is None:
            lacking[str(fields.get("plugin") or fields["class"])] = None
        elif offer.distribution in submission.distributions and source_hash(offer.plugin) != fields.get("source"):
            altered[offer.qualified] = None
    return list(lacking), list(altered)


def _other_images(submission: Submission, rows: Mapping[str, Mapping[str, Any]], cells: list[str]) -> dict[str, str]:
    """Cells whose images, labels or patients are not those of most records of their part, with the reason."""
    parts: dict[str, dict[str, str]] = {}
    for cell, samples in submission.store.samples(cells):
        parts.setdefault(str(rows[cell]["part"]), {})[cell] = _images(samples)
    found: dict[str, str] = {}
    for told in parts.values():
        usual = Counter(told.values()).most_common(1)[0][0]
        found |= dict.fromkeys((cell for cell, images in told.items() if images != usual), OTHER_IMAGES)
    return found


def _other_requests(submission: Submission, rows: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Cells that were asked for in the place of others: a request decides what supersedes what."""
    requests = submission.store.requests()
    return {
        cell: OTHER_REQUEST
        for cell, slot, clean in zip(*(requests[name] for name in ("cell", "slot", "clean")), strict=True)
        if cell in rows and (slot, clean) != (rows[cell]["slot"], rows[cell]["clean"])
    }


def _images(samples: Samples) -> str:
    """A hash of ids, labels and patients."""
    digest = hashlib.sha256()
    for column in (samples.ids, samples.labels, samples.groups):
        digest.update(repr(None if column is None else (column.shape, column.tolist())).encode())
    return digest.hexdigest()
