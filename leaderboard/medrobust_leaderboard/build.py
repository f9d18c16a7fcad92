"""Building tables and figures of a paper from a plan and a store."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from medrobust import Plan, Store, Value

from .claims import Finding, judge, read_claims
from .selection import Numbers, Row, Selected, check_unique, matches, rows_of, rule_for
from .specs import FigureSpec, Paper, Substitution, TableSpec
from .table import State, Table, TableCell

if TYPE_CHECKING:
    from .figures import SavedFigure

CLEAN = "none"


class Report:
    """Tables and figures of one paper in one profile.

    Args:
        paper: the specifications.
        profile: name of the profile that was planned.
        plan: the plan of the paper's grid.
        store: where the records are.
    """

    def __init__(self, paper: Paper, profile: str, plan: Plan, store: Store) -> None:
        self.paper = paper
        self.profile = paper.profile(profile)
        self.store = store
        self.rows = rows_of(plan)
        self.numbers = Numbers(store, self._wanted())

    def _wanted(self) -> Iterator[tuple[str, str]]:
        specs: Sequence[TableSpec | FigureSpec] = (*self.paper.tables, *self.paper.figures)
        for spec in specs:
            for selected in self.rows:
                if selected.cell is not None and matches(selected.row, spec.where):
                    yield from ((selected.cell, r.metric) for r in spec.value if matches(selected.row, r.where))

    # Tables ----------------------------------------------------------------------------------------------------------

    def tables(self) -> list[Table]:
        """All tables of the paper."""
        return [self.table(spec) for spec in self.paper.tables]

    def table(self, spec: TableSpec) -> Table:
        """One table, our numbers beside the paper's."""
        selected = [s for s in self.rows if matches(s.row, spec.where)]
        labels = {axis: _labels(axis, spec, selected) for axis in (*spec.rows, *spec.columns)}
        reference = self.paper.reference(spec)
        rows = list(itertools.product(*(labels[a] for a in spec.rows)))
        columns = list(itertools.product(*(labels[a] for a in spec.columns)))
        cells = {}
        for row, column in itertools.product(rows, columns):
            key = dict(zip((*spec.rows, *spec.columns), (*row, *column), strict=True))
            cell = self._table_cell(spec, key, selected, reference.get((row, column)))
            if cell is not None:
                cells[row, column] = cell
        shown_rows = {r: tuple(_shown(spec.names, a, v) for a, v in zip(spec.rows, r, strict=True)) for r in rows}
        shown_columns = {
            c: tuple(_shown(spec.names, a, v) for a, v in zip(spec.columns, c, strict=True)) for c in columns
        }
        return Table(
            id=spec.id,
            title=spec.title,
            caption=spec.caption,
            row_names=tuple(_shown(spec.names, "axis", a) for a in spec.rows),
            rows=tuple(shown_rows[r] for r in rows if any((r, c) in cells for c in columns)),
            column_names=tuple(_shown(spec.names, "axis", a) for a in spec.columns),
            columns=tuple(shown_columns[c] for c in columns if any((r, c) in cells for r in rows)),
            cells={(shown_rows[r], shown_columns[c]): cell for (r, c), cell in cells.items()},
            notes=tuple(spec.notes),
            unit=spec.unit,
            decimals=spec.decimals,
        )

    def _table_cell(
        self,
        spec: TableSpec,
        key: dict[str, str],
        selected: Sequence[Selected],
        reference: tuple[float, float | None] | None,
    ) -> TableCell | None:
        """The cell at `key`; None where the grid has no such combination and the paper no value."""
        cells = _at(key, selected)
        paper, paper_bracket = reference or (None, None)
        if not cells:
            return (
                None if paper is None else TableCell(reference=paper, reference_bracket=paper_bracket, state="missing")
            )
        check_unique(cells, (*spec.rows, *spec.columns, *spec.mean_over), f"{self.paper.name} {spec.id}")
        rule = rule_for(cells[0].row, spec.value, key.get("value"))
        if rule is None:
            return None
        value = self.numbers.combined(cells, rule.metric)
        if value is None:
            state, note = self._why_absent(cells)
            return TableCell(reference=paper, reference_bracket=paper_bracket, state=state, note=note)
        substituted = any(self.substitutions(s.row) for s in cells)
        return table_cell(value, paper, paper_bracket, substituted=substituted, tolerance=spec.tolerance)

    def _why_absent(self, cells: Sequence[Selected]) -> tuple[State, str]:
        for selected in cells:
            if selected.entry.impossible:
                return "missing", selected.entry.impossible
            status, reason = self.numbers.status.get(selected.cell or "", ("", ""))
            if status in ("failed", "invalid"):
                return "failed", f"{status}: {reason}"
        return "missing", ""

    def substitutions(self, row: Row) -> list[Substitution]:
        """What stands for something else in an entry."""
        return [s for s in self.profile.substitutions if s.label == "*" or row.get(s.axis) == s.label]

    # Claims ----------------------------------------------------------------------------------------------------------

    def claims(self) -> list[Finding]:
        """The verdicts on the paper's claims."""
        return judge(read_claims(self.paper.folder), self.rows, self.store, lambda row: bool(self.substitutions(row)))

    # Figures ---------------------------------------------------------------------------------------------------------

    def curve_panels(self, spec: FigureSpec) -> list[tuple[str, list[tuple[str, list[float], list[Value | None]]]]]:
        """Panels as (title, series), series as (label, x, values); the clean record stands at 0."""
        selected = [s for s in self.rows if matches(s.row, spec.where)]
        panels = []
        for panel in _labels(spec.panels, spec, selected):
            series = []
            for name in _labels(spec.series, spec, selected):
                if name == CLEAN:
                    continue
                points = self._points(spec, panel, name, selected)
                if points:
                    series.append(
                        (_shown(spec.names, spec.series, name), [p[0] for p in points], [p[1] for p in points])
                    )
            if series:
                panels.append((_shown(spec.names, spec.panels, panel), series))
        return panels

    def _points(
        self, spec: FigureSpec, panel: str, name: str, selected: Sequence[Selected]
    ) -> list[tuple[float, Value | None]]:
        places: dict[float, list[Selected]] = {}
        for each in _at({spec.panels: panel, spec.series: name}, selected):
            x = 0.0 if each.row.get("attack") == CLEAN else _number(each.row.get(spec.x, ""))
            if x is not None:
                places.setdefault(x, []).append(each)
        points = []
        for x, cells in sorted(places.items()):
            check_unique(
                cells, (spec.panels, spec.series, spec.x, "budget", *spec.mean_over), f"{self.paper.name} {spec.id}"
            )
            rule = rule_for(cells[0].row, spec.value)
            points.append((x, self.numbers.combined(cells, rule.metric) if rule else None))
        return points

    def draw(self, folder: Path) -> list[tuple[FigureSpec, SavedFigure]]:
        """Draw every figure into `folder` as PNG and SVG beside its CSV; (spec, saved figure) for each."""
        from .figures import CurvePanel, Series, curves, curves_data, save

        drawn = []
        for spec in self.paper.figures:
            panels = [
                CurvePanel(
                    title=title,
                    series=tuple(
                        Series(
                            label=label,
                            x=tuple(x),
                            y=tuple(v.scalar if v else None for v in values),
                            low=tuple(v.interval[0] if v and v.interval else None for v in values),
                            high=tuple(v.interval[1] if v and v.interval else None for v in values),
                        )
                        for label, x, values in series
                    ),
                )
                for title, series in self.curve_panels(spec)
            ]
            if panels:
                figure = curves(
                    panels, x_label=spec.x_label, y_label=spec.y_label, x_scale=spec.x_scale, columns=spec.columns
                )
                drawn.append((spec, save(figure, curves_data(panels), folder / spec.id)))
        return drawn


def table_cell(
    value: Value,
    paper: float | None,
    paper_bracket: float | None = None,
    *,
    substituted: bool = False,
    tolerance: float = 0.01,
) -> TableCell:
    """A number with its interval and what it says about the paper's."""
    low, high = value.interval or (None, None)
    number = value.scalar
    state: State = ""
    if number is None:
        state = "undefined"
    elif paper is not None:
        if substituted:
            state = "substituted"
        elif low is not None and high is not None:
            state = "reproduced" if low <= paper <= high else "outside"
        else:
            state = "reproduced" if abs(number - paper) <= tolerance else "off"
    return TableCell(
        value=number,
        low=low,
        high=high,
        n=value.n,
        reference=paper,
        reference_bracket=paper_bracket,
        state=state,
        note=value.reason,
    )


def _at(key: dict[str, str], selected: Sequence[Selected]) -> list[Selected]:
    """Entries at a place of a table; the clean record has no budget and so stands at every one."""

    def here(row: Row) -> bool:
        clean = row.get("attack") == CLEAN
        return all(row.get(a, "") == v or (clean and row.get(a, "") == "") for a, v in key.items() if a != "value")

    found = [s for s in selected if s.entry.excluded == "" and here(s.row)]
    if "attack" in key:
        return found
    return [s for s in found if s.row.get("attack") != CLEAN] or found


def _labels(axis: str, spec: TableSpec | FigureSpec, selected: Sequence[Selected]) -> list[str]:
    """The labels of an axis in the order of `where`, else in that of the grid."""
    if axis == "value":
        return list(dict.fromkeys(r.label for r in spec.value))
    found = [label for s in selected if (label := s.row.get(axis, "")) != ""]
    wanted = spec.where.get(axis)
    if wanted is None:
        return list(dict.fromkeys(found))
    ordered = []
    for pattern in [wanted] if isinstance(wanted, str) else wanted:
        hits = [label for label in found if matches({axis: label}, {axis: pattern})]
        ordered += hits or ([] if "*" in pattern else [pattern])
    return list(dict.fromkeys(ordered))


def _shown(names: dict[str, dict[str, str]], axis: str, label: str) -> str:
    return names.get(axis, {}).get(label, label)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
