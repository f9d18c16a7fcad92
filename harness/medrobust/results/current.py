"""Which results are current: those that the last requests asked for.

A store keeps results of code and files that have since changed. A result is *superseded* if

- a later request of the same grid and profile asked for another one under the same labels,
- a later request of any grid asked for another one in the same slot (a slot is what a grid says of a cell, whatever
  code and files stand behind the words), or
- the clean record that it is compared with is superseded.

Everything else is current. A change that is taken back asks for the old identity again and makes it current again.
"""

from __future__ import annotations

import pandas as pd

from ..contracts import AXES

LABELS = list(AXES)
COLUMNS = [*LABELS, "cell", "slot", "clean", "tags", "reason", "requested", "current", "successor", "compared"]


def result_states(requests: pd.DataFrame, cells: pd.DataFrame) -> pd.DataFrame:
    """Which results are current and which superseded, under the labels by which they were last asked for.

    Cells that no request names (of stores put together by hand) have the store's own names as labels; the newest of a
    slot counts as asked for, unless a request named another one of it.

    Args:
        requests: rows of the table `requests`, in order of time and position.
        cells: rows of the table `cells`, one for each cell, with the axes, `slot`, `clean` and `created`.

    Returns:
        A row for each cell and each set of labels it has (a cell may have several), and for each combination that the
        last request of its grid found impossible. In the order of requests. Columns: the axes; `cell` (empty where
        impossible), `slot`, `clean`; `tags` (JSON) and `reason` (why impossible) of the request; `requested`, whether a
        request names it; `current`; and for one that is superseded `successor`, the cell that is current in its place,
        and `compared`, the cell to compare that one with: itself or its clean record.
    """
    rows = pd.concat([_asked(requests), _unasked(cells, requests)], ignore_index=True)
    if rows.empty:
        return pd.DataFrame({column: pd.Series(dtype=object) for column in COLUMNS})
    rows["place"] = rows.groupby(["grid", *LABELS], sort=False).ngroup()
    rows["last"] = rows["time"] == rows.groupby("grid", sort=False)["time"].transform("max")
    impossible = rows["cell"] == ""
    known, places, slots = _judged(rows[~impossible])
    known["successor"], known["compared"] = _successors(known, places, slots)
    # What was never computed matters only as long as somebody asks for it.
    known = known[known["cell"].isin(set(cells["cell"])) | (known["current"] & known["last"])]
    barred = rows[impossible & rows["last"] & ~rows["place"].isin(known["place"])]
    barred = barred.assign(current=True, successor="", compared="")
    found = pd.concat([known, barred]).sort_index()
    return found.drop_duplicates([*LABELS, "cell", "tags"], keep="last")[COLUMNS].reset_index(drop=True)


def _asked(requests: pd.DataFrame) -> pd.DataFrame:
    rows = requests.copy()
    rows["time"] = pd.factorize(rows["created"], sort=True)[0] if len(rows) else pd.Series(dtype=int)
    rows["requested"] = True
    for column in ("cell", "slot", "clean", "reason"):
        rows[column] = rows[column].fillna("")
    rows["slot"] = rows["slot"].where(rows["slot"] != "", rows["cell"])
    return rows


def _unasked(cells: pd.DataFrame, requests: pd.DataFrame) -> pd.DataFrame:
    """Cells that no request names, as if each had been asked for when it was made, before all requests."""
    named = set(requests["cell"].dropna())
    rows = cells[~cells["cell"].isin(named)].sort_values("created", kind="stable").copy()
    rows["time"] = range(-len(rows), 0)
    # Each in a grid of its own: labels alone do not make one of them supersede another.
    rows["grid"] = "\0" + rows["cell"]
    rows["requested"], rows["tags"], rows["reason"] = False, "{}", ""
    for column in (*LABELS, "slot", "clean"):
        rows[column] = rows[column].fillna("")
    rows["slot"] = rows["slot"].where(rows["slot"] != "", rows["cell"])
    return rows


def _judged(rows: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series[str], pd.Series[str]]:
    """Rows with `current`, and the cell last asked for in each place (a grid's labels) and in each slot.

    A cell has the labels by which each grid last called it; of one that is current, those that still mean it.
    """
    rows = rows.copy()
    time = rows["time"]
    still_meant = time == rows.groupby("place", sort=False)["time"].transform("max")
    own = rows.groupby(["slot", "cell"], sort=False)["time"].transform("max")
    rows["current"] = still_meant & (own == rows.groupby("slot", sort=False)["time"].transform("max"))
    ordered = rows.sort_values("time", kind="stable")
    places, slots = (ordered.drop_duplicates(key, keep="last").set_index(key)["cell"] for key in ("place", "slot"))
    rows = rows[time == rows.groupby(["grid", "cell"], sort=False)["time"].transform("max")].copy()
    current = rows["cell"].isin(set(rows.loc[rows["current"], "cell"]))
    rows = rows[rows["current"] | ~current].copy()
    # Numbers of a model that was replaced are superseded with its clean record.
    replaced = set(rows.loc[~rows["current"], "cell"])
    rows["current"] &= ~rows["clean"].isin(replaced)
    return rows, places, slots


def _successors(
    rows: pd.DataFrame, places: pd.Series[str], slots: pd.Series[str]
) -> tuple[pd.Series[str], pd.Series[str]]:
    """For superseded rows the cell that is current in their place, and the cell to compare it with; else empty."""
    own, superseded = rows["cell"], ~rows["current"]
    by_slot = rows["slot"].map(slots)
    direct = by_slot.where(by_slot != own, rows["place"].map(places))
    found = superseded & (direct != own)
    by_clean = rows["clean"].map(dict(zip(own[found], direct[found], strict=True)))
    through_clean = superseded & ~found & by_clean.notna()
    successor = direct.where(found, by_clean.where(through_clean, ""))
    return successor, own.where(found, rows["clean"].where(through_clean, ""))
