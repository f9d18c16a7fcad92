"""Reading CSV files and split lists, with errors that name file, row and remedy."""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from medrobust import SPLITS, DataError, DataSource, DataUnavailable

from .samples import Sample

Row = Mapping[str, str]


def read_table(path: Path, required: Iterable[str]) -> list[dict[str, str]]:
    """Rows of a CSV with a header, as text.

    Raises:
        DataError: if it is empty, not text, ragged, or lacks one of the `required` columns.
    """
    lines = _lines(path)
    header = [name.strip() for name in lines[0]]
    if missing := [name for name in required if name not in header]:
        raise DataError(f"{path} has no column {' or '.join(map(repr, missing))}; its columns are {_some(header)}.")
    for number, line in enumerate(lines[1:], start=2):
        if len(line) != len(header):
            raise DataError(f"{path}, row {number}: {len(line)} fields where the header has {len(header)}.")
    rows = [dict(zip(header, (value.strip() for value in line), strict=True)) for line in lines[1:]]
    if not rows:
        raise DataError(f"{path} has a header and no rows.")
    return rows


def _some(header: Sequence[str]) -> str:
    return ", ".join(name[:60] for name in header[:20]) + (", ..." if len(header) > 20 else "")


def _lines(path: Path) -> list[list[str]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = [line for line in csv.reader(file) if line]
    except (UnicodeDecodeError, csv.Error, OSError) as error:
        raise DataError(f"{path} is not a CSV text file: {error}.") from None
    if not lines:
        raise DataError(f"{path} is empty.")
    return lines


def require_unique(names: Sequence[str], where: Path) -> None:
    """Raise DataError if a name occurs twice."""
    if repeated := [name for name, count in Counter(names).items() if count > 1]:
        raise DataError(f"{where} names {listing(repeated)} more than once; keep one row for each image.")


def require_known(values: Iterable[str], known: Sequence[str], where: Path, what: str) -> None:
    """Raise DataError if a value is none of `known`."""
    if unknown := sorted(set(values) - set(known)):
        raise DataError(f"{where} has the unknown {what} {listing(unknown)}; valid: {', '.join(known)}.")


def require_files(names: Sequence[str], present: Mapping[str, Path], where: Path, folder: Path) -> None:
    """Raise DataError if a name that a table lists has no image."""
    if missing := [name for name in names if name not in present]:
        raise DataError(
            f"{where} lists {len(missing)} of {len(names)} images that are not below {folder}, such as "
            f"{listing(missing)}; put them there or remove their rows."
        )


def listing(names: Sequence[str], shown: int = 3) -> str:
    """The first few names, quoted."""
    return ", ".join(repr(name if len(name) < 200 else f"{name[:200]}...") for name in names[:shown]) + (
        f" and {len(names) - shown} more" if len(names) > shown else ""
    )


def apply_split_lists(
    samples: Sequence[Sample], splits: str, source: DataSource, *, repeated: bool = False
) -> tuple[tuple[Sample, ...], tuple[Path, ...]]:
    """Splits as lists of file names say them; samples in no list are left out.

    `splits` is either a path with `{split}` in it, which stands for one list per split (train and test, val where
    there is one; first column the file, further columns ignored, with or without a header `file`), or one CSV with the
    columns file and split. A file is named by its path or the end of it.

    Args:
        repeated: whether a file may be named several times; each further time is a sample of its own, called `id#2`.

    Returns:
        the listed samples, and the lists read.
    """
    if "{split}" in splits:
        lists = {
            split: _find_list(splits.replace("{split}", split), source, optional=split == "val") for split in SPLITS
        }
        found = {split: path for split, path in lists.items() if path is not None}
        named = [(name, split, path) for split, path in found.items() for name in _first_column(path)]
        paths = tuple(found.values())
    else:
        path = source.find(splits, what="the split list")
        rows = read_table(path, ["file", "split"])
        require_known((row["split"] for row in rows), SPLITS, path, "split")
        named = [(row["file"], row["split"], path) for row in rows]
        paths = (path,)
    return _matched(samples, named, repeated=repeated), paths


def _find_list(path: str, source: DataSource, *, optional: bool) -> Path | None:
    try:
        return source.find(path, what="the split list")
    except DataUnavailable:
        if optional:
            return None
        raise


def _first_column(path: Path) -> list[str]:
    names = [line[0].strip() for line in _lines(path)]
    return names[1:] if names[0].lower() in ("file", "image", "filename") else names


def _matched(
    samples: Sequence[Sample], named: Sequence[tuple[str, str, Path]], *, repeated: bool
) -> tuple[Sample, ...]:
    by_end: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        for end in _ends(sample.file.as_posix()):
            by_end[end].append(sample)
    chosen: dict[str, Sample] = {}
    times: Counter[str] = Counter()
    missing: list[str] = []
    for name, split, path in named:
        hits: list[Sample] = next((by_end[end] for end in _ends(name) if end in by_end), [])
        if len(hits) > 1:
            fitting = listing([hit.id for hit in hits])
            raise DataError(f"{path}: {listing([name])} fits {fitting}; write more of its path.")
        if not hits:
            missing.append(name)
            continue
        (hit,) = hits
        times[hit.id] += 1
        if (again := times[hit.id] > 1) and not repeated:
            earlier = chosen[hit.id].split
            raise DataError(
                f"{path}: {listing([name])} is already in the {earlier} list; an image belongs to one split, once. "
                "If the publisher's lists are so, say on_repeated = 'keep'."
            )
        identity = f"{hit.id}#{times[hit.id]}" if again else hit.id
        # Of a file without a group its name is the group, so that a slice does not part it from its copies.
        chosen[identity] = replace(hit, id=identity, split=split, group=hit.unit if repeated else hit.group)
    if missing:
        raise DataError(
            f"{named[0][2]} and its companions list {len(missing)} of {len(named)} images that are not in the data "
            f"set, such as {listing(missing)}; the list may belong to another release of the data."
        )
    return tuple(chosen.values())


def _ends(path: str) -> list[str]:
    """The last four, three, two and one components of a path, longest first."""
    parts = PurePosixPath(path).parts
    return ["/".join(parts[-length:]) for length in range(min(4, len(parts)), 0, -1)]
