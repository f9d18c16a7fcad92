"""Images and groups (patients) that are in several splits of a data set, found before a number rests on them."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Mapping

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
    for split, one in members.items():
        if repeated := len(one.ids) - len(set(one.ids)):
            first = sorted(i for i, following in itertools.pairwise(sorted(one.ids)) if i == following)
            raise DataError(
                f"{name}: sample ids are not unique: {repeated} of {len(one.ids)} ids of '{split}' repeat another one, "
                f"such as {_some(first)}; give each image an id of its own"
            )
    for (one, first), (other, second) in itertools.combinations(members.items(), 2):
        if both := set(first.ids) & set(second.ids):
            raise DataError(
                f"{name}: {_counted(both, 'sample id is', 'sample ids are')} in '{one}' and in '{other}', such as {_some(sorted(both))}. An id "
                "must name one image of one split: take the images out of one of them if they are the same, otherwise "
                f"begin their ids with the split, as in '{other}/{min(both)}'"
            )
        both = _groups(first) & _groups(second)
        if both and not shared_groups:
            raise DataError(
                f"{name}: {_counted(both, 'group (patient) has', 'groups (patients) have')} images in '{one}' and in '{other}', such as "
                f"{_some(sorted(both))}; results on them say too little about new patients. Put all images of a group "
                "into one split. Where published splits are so, declare it, and results are marked: in a grid by "
                'on_shared_groups = "keep" (bundled data sets of files), in a plugin by DataInfo(shared_groups=True)'
            )


def shared_groups(members: Mapping[str, Members], split: str, among: Iterable[str] | None = None) -> str:
    """How many groups of a split have images in others too: `21 of 389 groups are also in 'train'`; empty if none.

    Args:
        members: of each split that is known.
        split: the one that is asked about.
        among: the groups that count; all of the split, if not given.
    """
    mine = _groups(members[split]) if among is None else set(among)
    told = [
        f"{len(both)} of {len(mine)} groups of its images are also in '{other}'"
        for other in members
        if other != split and (both := mine & _groups(members[other]))
    ]
    return ", ".join(told)


def _groups(members: Members) -> set[str]:
    return set(members.groups or ())


def _counted(found: Collection[str], one: str, many: str) -> str:
    return f"{len(found)} {one if len(found) == 1 else many}"


def _some(names: Iterable[str]) -> str:
    names = list(dict.fromkeys(names))
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(f"'{name}'" for name in names[:SHOWN]) + more
