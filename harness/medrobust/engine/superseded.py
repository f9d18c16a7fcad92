"""Why results are superseded, in words."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable

import pandas as pd

from ..grid.differences import reason
from ..results.store import Store


def superseded_reasons(store: Store, rows: pd.DataFrame) -> dict[str, str]:
    """Why each superseded cell is not current any more, such as "other source of attack 'pgd'".

    Args:
        store: where the identities are.
        rows: what `results.current.result_states` gives.
    """
    rows = rows[~rows["current"]].drop_duplicates("cell")
    if rows.empty:
        return {}
    identities = store.cells(["identity"])["identity"].to_dict()

    def why(compared: str, successor: str) -> str:
        old, new = identities.get(compared), identities.get(successor)
        if not isinstance(old, str) or not isinstance(new, str):
            return "a result that is not computed yet"
        return reason(json.loads(old), json.loads(new))

    pairs = zip(rows["compared"], rows["successor"], strict=True)
    return dict(zip(rows["cell"], (why(*pair) for pair in pairs), strict=True))


def reasons_in_words(reasons: Iterable[str]) -> str:
    """Reasons with their counts: "other source of attack 'pgd' (2), other weights of model 'vit' (1)"."""
    return ", ".join(f"{why} ({count})" for why, count in Counter(reasons).most_common())
