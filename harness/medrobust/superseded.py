"""Why results are superseded, in words."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection

import pandas as pd

from .grid.differences import reason
from .results.store import Store


def superseded_reasons(store: Store, rows: pd.DataFrame, cells: Collection[str]) -> Counter[str]:
    """How many of some superseded cells have which reason, such as "other source of attack 'pgd'".

    Args:
        store: where the identities are.
        rows: what `results.current.standing` gives.
        cells: identities of the cells.
    """
    rows = rows[rows["cell"].isin(set(cells)) & ~rows["current"]].drop_duplicates("cell")
    if rows.empty:
        return Counter()
    frame = store.cells(["identity"])
    identities = frame["identity"].to_dict()

    def why(compared: str, successor: str) -> str:
        old, new = identities.get(compared), identities.get(successor)
        if not isinstance(old, str) or not isinstance(new, str):
            return "something else asked for that is not computed yet"
        return reason(json.loads(old), json.loads(new))

    return Counter(why(c, s) for c, s in zip(rows["compared"], rows["successor"], strict=True))


def reasons_in_words(reasons: Counter[str]) -> str:
    """Reasons with their counts: "other source of attack 'pgd' (2), other weights of model 'vit' (1)"."""
    return ", ".join(f"{why} ({count})" for why, count in reasons.most_common())
