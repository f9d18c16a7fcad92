"""Images and groups (patients) that are in several splits of a data set, found before a number rests on them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence

from ..contracts import Members
from ..errors import DataError

SHOWN = 3
"""Names that a message shows."""


def check_splits(members: Mapping[str, Members], name: str, *, shared_groups: bool) -> None:
    """No sample id is used twice, and no group is in two splits unless the data set declares it.

    Args:
        members: of each split that is known.
        name: the data set, for messages.
        shared_groups: whether the data set declares that groups are in several splits.

    Raises:
        DataError: naming some of them, how many there are, and the remedy.
    """
    for split, mine in members.items():
        if len(set(mine.ids)) < len(mine.ids):
            raise DataError(f"{name}: sample ids are not unique: {_repeated(split, mine)}")
    for (one, first), (other, second) in itertools.combinations(members.items(), 2):
        if both := sorted(set(first.ids) & set(second.ids)):
            raise DataError(f"{name}: {_same_ids(both, one, other)}")
        if not shared_groups and (both := sorted(_groups(first) & _groups(second))):
            raise DataError(f"{name}: {_same_groups(both, one, other)}")


def _repeated(split: str, members: Members) -> str:
    repeated = [i for i, following in itertools.pairwise(sorted(members.ids)) if i == following]
    return (
        f"{len(repeated)} of {len(members.ids)} ids of '{split}' repeat another one, such as {_some(repeated)}; give "
        "each image an id of its own"
    )


def _same_ids(ids: Sequence[str], one: str, other: str) -> str:
    count = "1 sample id is" if len(ids) == 1 else f"{len(ids)} sample ids are"
    return (
        f"{count} in '{one}' and in '{other}', such as {_some(ids)}. An id must name one image of one split: take the "
        "images out of one of them if they are the same, otherwise begin their ids with the split, as in "
        f"'{other}/{ids[0]}'"
    )


def _same_groups(groups: Sequence[str], one: str, other: str) -> str:
    count = "1 group (patient) has" if len(groups) == 1 else f"{len(groups)} groups (patients) have"
    return (
        f"{count} images in '{one}' and in '{other}', such as {_some(groups)}; results on them say too little about "
        "new patients. Put all images of a group into one split. Where published splits are so, declare it, and "
        'results are marked: in a grid by on_shared_groups = "keep" (bundled data sets of files), in a plugin by '
        "DataInfo(shared_groups=True)"
    )


def groups_in_others(members: Mapping[str, Members], split: str, groups: Iterable[str]) -> str:
    """How many of some groups of a split have images in others too, in words; empty if none has.

    Args:
        members: of each split that is known.
        split: where the groups are.
        groups: those that are asked about.
    """
    mine = set(groups)
    shared = {other: len(mine & _groups(members[other])) for other in members if other != split}
    found = [(count, f"in '{other}'") for other, count in shared.items() if count]
    if not found:
        return ""
    (count, first), *rest = found
    told = f"{count} of {len(mine)} groups (patients) of these images {'is' if count == 1 else 'are'} {first} as well"
    return ", ".join([told, *(f"{count} {where}" for count, where in rest)])


def _groups(members: Members) -> set[str]:
    return set(members.groups or ())


def _some(names: Iterable[str]) -> str:
    names = list(dict.fromkeys(names))
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(f"'{name}'" for name in names[:SHOWN]) + more
