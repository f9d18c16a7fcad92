"""Building the tables of a paper from a plan and a store."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

from medrobust import MedrobustError
from medrobust.api import AXES, Plan, Store, Value, did_you_mean

from .asked import bracket_style, metrics_for, metrics_of, replacements, unit_of
from .claims import Finding, explained, read_claims, verdicts_on
from .counts import ImageCounts
from .figure_specs import BarsSpec, ConfusionSpec, CurvesSpec, FigureSpec
from .flags import below, doubts, flag, subject
from .labels import Row, Where, agree, is_clean, matches, ordered, tables
from .machines import machine_note, precision_note
from .overlap import together
from .profiles import Substitution
from .selection import Numbers, Selected, check_unique, concerns, each_once, entry_of, rows_of, rule_for, spread
from .specs import Paper, TableSpec
from .table import COUNTS, LABELS, State, Table, TableCell, joined
from .views import Rule


class PaperReport:
    """Tables and figures of one paper in one profile.

    Args:
        paper: the specifications.
        profile: name of the profile that was planned.
        plan: the plan of the paper's grid.
        store: where the records are.
        evidence: what the checks of evidence found; numbers that it speaks against say so.
    """

    def __init__(
        self, paper: Paper, profile: str, plan: Plan, store: Store, evidence: Iterable[Mapping[str, Any]] = ()
    ) -> None:
        self.paper = paper
        self.profile = paper.profile(profile)
        self.store = store
        self.rows = rows_of(plan)
        self.numbers = Numbers(store, self._wanted())
        self.counts = ImageCounts(store)
        self._poor = below(self.profile.floor, self.rows, store)
        self._doubts = doubts(evidence)
        self._precision = {s.cell: s.row.get("precision", "") for s in self.rows if s.cell}

    def _wanted(self) -> Iterator[tuple[str, str]]:
        """Every metric that a table or figure may ask for."""
        for spec in (*self.paper.tables, *self.paper.figures):
            if isinstance(spec, ConfusionSpec):
                yield from ((s.cell, spec.metric) for s in self.selected(spec) if s.cell)
            elif isinstance(spec, TableSpec | CurvesSpec | BarsSpec):
                for replaced in replacements(spec):
                    wheres = [{**table, **replaced} for table in tables(spec.where)]
                    for each in self.rows:
                        if each.cell is not None and matches(each.row, wheres) and concerns(each.row, metrics_of(spec)):
                            yield from ((each.cell, m) for m in metrics_for(spec, each.row, counterpart=bool(replaced)))

    def selected(self, spec: TableSpec | FigureSpec) -> list[Selected]:
        """The entries that a table or figure shows."""
        metrics = metrics_of(spec)
        return [s for s in self.rows if matches(s.row, spec.where) and concerns(s.row, metrics)]

    # Tables ----------------------------------------------------------------------------------------------------------

    def tables(self) -> list[Table]:
        """All tables of the paper."""
        return [self.table(spec) for spec in self.paper.tables]

    def table(self, spec: TableSpec) -> Table:
        """One table, our numbers beside the paper's."""
        axes = (*spec.rows, *spec.columns)
        selected = self.selected(spec)
        for axis in ("class", "bin"):
            if axis in axes:
                selected = spread(selected, axis, self.substitutions)
        labels = {axis: labels_of(axis, spec.where, selected, spec.value) for axis in axes}
        reference = self.paper.reference(spec)
        rows = list(itertools.product(*(labels[a] for a in spec.rows)))
        columns = list(itertools.product(*(labels[a] for a in spec.columns)))
        cells = {}
        for row, column in itertools.product(rows, columns):
            key = dict(zip(axes, (*row, *column), strict=True))
            cell = self._table_cell(spec, key, selected, reference.get((row, column)))
            if cell is not None:
                cells[row, column] = cell
        shown_rows = {r: tuple(spec.shown(a, v) for a, v in zip(spec.rows, r, strict=True)) for r in rows}
        shown_columns = {c: tuple(spec.shown(a, v) for a, v in zip(spec.columns, c, strict=True)) for c in columns}
        # Labels of one name share a row: attacks that differ with the data set in their step, for instance.
        filled = [(shown_rows[r], shown_columns[c]) for r, c in cells]
        if len(set(filled)) < len(filled):
            twice = next(place for place in filled if filled.count(place) > 1)
            raise MedrobustError(f"{self.paper.name} {spec.id}: two cells are both called {', '.join(sum(twice, ()))}")
        return Table(
            id=spec.id,
            title=spec.title,
            caption=spec.caption,
            row_names=tuple(spec.shown("axis", a) for a in spec.rows),
            rows=tuple(dict.fromkeys(shown_rows[r] for r in rows if any((r, c) in cells for c in columns))),
            column_names=tuple(spec.shown("axis", a) for a in spec.columns),
            columns=tuple(dict.fromkeys(shown_columns[c] for c in columns if any((r, c) in cells for r in rows))),
            cells={(shown_rows[r], shown_columns[c]): cell for (r, c), cell in cells.items()},
            notes=(*spec.notes, *self._departures(), *self._machine_notes(cells.values())),
            unit=unit_of(spec),
            decimals=spec.decimals,
            bracket=bracket_style(spec),
        )

    def _table_cell(
        self,
        spec: TableSpec,
        key: dict[str, str],
        selected: Sequence[Selected],
        reference: tuple[float, float | None] | None,
    ) -> TableCell | None:
        """The cell at `key`; None where the grid has no such combination and the paper no value."""
        cells = cells_at(key, selected)
        if "value" in key:
            # A column may show a metric of some cells and its neighbour that of others.
            cells = [each for each in cells if rule_for(each.row, spec.value, key["value"])]
        paper, paper_bracket = reference or (None, None)
        if not cells:
            known = {axis: label for axis, label in key.items() if axis in LABELS}
            absent = TableCell(reference=paper, reference_bracket=paper_bracket, state="missing", facts=known)
            return None if paper is None else absent
        check_unique(cells, (*spec.rows, *spec.columns, *spec.mean_over), f"{self.paper.name} {spec.id}")
        rule = rule_for(cells[0].row, spec.value, key.get("value"))
        if rule is None:
            return None
        if rule.entry is not None:
            cells = entry_of(cells, rule.entry)
            if not cells:
                return None
        counted = rule.metric in COUNTS
        value = self.counts.get(cells, rule.metric) if counted else self.numbers.combined(cells, rule.metric)
        if value is None:
            state, note = self._why_absent(cells)
            if counted and not note:
                note = "not known here how many images: evaluate on the training slice too"
            facts = self._facts(cells, rule.metric)
            return TableCell(reference=paper, reference_bracket=paper_bracket, state=state, note=note, facts=facts)
        substituted = any(self.substitutions(s.row) for s in cells)
        cell = table_cell(value, paper, paper_bracket, substituted=substituted, tolerance=spec.tolerance)
        if counted:
            cell = replace(cell, unit="count", n=None, note=cell.note or value.note)
        shared = together(self.numbers.shared_groups.get(s.cell or "", "") for s in cells)
        doubt = together(self._doubts.get(subject(s), "") for s in cells)
        # What a detector has seen of the images that it is scored on stands in the row of a cell that is ok.
        warned = together(self.numbers.status.get(s.cell or "", ("", ""))[1] for s in cells)
        poor = flag([self._poor[s.cell] for s in cells if s.cell in self._poor], len(cells))
        note = "; ".join(text for text in (cell.note, warned, shared, doubt, poor) if text)
        state = "flagged" if poor and cell.value is not None else cell.state
        cell = replace(cell, facts=self._facts(cells, rule.metric), note=note, state=state)
        if spec.bracket is None:
            return cell
        others = self.counterparts(cells, spec.bracket.replace)
        beside = self.numbers.combined(others, spec.bracket.metric or rule.metric) if others else None
        return replace(cell, bracket=beside.scalar if beside else None)

    def _facts(self, cells: Sequence[Selected], metric_name: str) -> dict[str, str]:
        """Facts about a number for programs: its labels, and the cells behind it with their machines."""
        machines = [self.numbers.machines.get(s.cell or "", ("", "")) for s in cells]
        return {
            **{axis: joined(s.row.get(axis, "") for s in cells) for axis in LABELS},
            "seeds": joined(s.row.get("seed", "") for s in cells),
            "metric": metric_name,
            "cells": joined(s.cell or "" for s in cells),
            "torch": joined(build for build, _ in machines),
            "hardware": joined(device for _, device in machines),
        }

    def _departures(self) -> list[str]:
        """That the profile is not the paper's experiment in every point, where that is so."""
        count = len(self.profile.departures)
        points = "one point" if count == 1 else f"{count} points"
        return [f"This profile departs from the paper in {points}: see departures in paper.toml."] if count else []

    def _machine_notes(self, cells: Iterable[TableCell]) -> list[str]:
        """Where cells were computed, if not all on one machine, and in which precision, if not float32."""
        behind = dict.fromkeys(c for cell in cells for c in cell.facts.get("cells", "").split("; ") if c)
        known = [self.numbers.machines[c] for c in behind if c in self.numbers.machines]
        precisions = [self._precision[c] for c in behind if c in self._precision]
        return [note for note in (precision_note(precisions), machine_note(known)) if note]

    def counterparts(self, cells: Sequence[Selected], labels: Mapping[str, str]) -> list[Selected]:
        """The entries that differ from those given in these labels alone, such as the random control of an attack."""
        if not labels:
            return list(cells)
        found: dict[str, Selected] = {}
        for cell in cells:
            wanted = {a: v for a, v in {**cell.row, **labels}.items() if a in AXES or a.startswith("tags.")}
            for each in self.rows:
                if each.cell and agree(each.row, wanted, wanted):
                    found[each.cell] = replace(each, index=cell.index)
        return list(found.values())

    def _why_absent(self, cells: Sequence[Selected]) -> tuple[State, str]:
        for selected in cells:
            if selected.entry.impossible:
                return "missing", selected.entry.impossible
            status, reason = self.numbers.status.get(selected.cell or "", ("", ""))
            if status in ("failed", "invalid"):
                return "failed", f"{status}: {reason}"
            if status == "missing":
                return "missing", reason
        return "missing", ""

    def substitutions(self, row: Row) -> list[Substitution]:
        """The substitutions that concern an entry."""
        return [s for s in self.profile.substitutions if fnmatchcase(row.get(s.axis, ""), s.label)]

    # Claims ----------------------------------------------------------------------------------------------------------

    def claims(self) -> list[Finding]:
        """The verdicts on the paper's claims.

        Raises:
            MedrobustError: if the profile names a claim that does not exist.
        """
        claims, profile = read_claims(self.paper.folder), self.profile
        ids = [claim.id for claim in claims]
        for key, reasons in (("by_construction", profile.by_construction), ("explanations", profile.explanations)):
            if strange := [id_ for id_ in reasons if id_ not in ids]:
                raise MedrobustError(
                    f"{self.paper.folder / 'paper.toml'}: {key}: {self.paper.name} has no claim "
                    f"'{strange[0]}'{did_you_mean(strange[0], ids)}"
                )
        found = verdicts_on(claims, self.rows, self.store, self.substitutions, profile.by_construction, self._poor)
        return [explained(finding, profile.explanations) for finding in found]


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


def cells_at(key: Mapping[str, str], selected: Sequence[Selected]) -> list[Selected]:
    """The cells at a place of a table, each once; clean records only if the place names attacks or has no others."""
    axes = [axis for axis in key if axis != "value"]
    found = [s for s in selected if s.entry.excluded == "" and agree(s.row, key, axes)]
    if "attack" not in key:
        found = [s for s in found if not is_clean(s.row)] or found
    return each_once(found)


def labels_of(axis: str, where: Where, selected: Sequence[Selected], rules: Sequence[Rule] = ()) -> list[str]:
    """The labels of an axis in the order of `where`, else in that of the grid; `value` has those of the rules."""
    if axis == "value":
        return list(dict.fromkeys(r.label for r in rules))
    return ordered(axis, where, (s.row.get(axis, "") for s in selected))
