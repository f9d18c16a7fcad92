"""One self-contained HTML page for a paper: tables, figures, substitutions, claims, evidence, provenance."""

from __future__ import annotations

import base64
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from .render import Link, to_csv, to_html
from .render.numbers import DASH, MINUS
from .table import STATES, Table, count_states, summarize

if TYPE_CHECKING:
    # Only its paths are read here; drawing would bring matplotlib along.
    from .figures import SavedFigure

Facts = Mapping[str, object]

VERDICTS: Final[Mapping[str, str]] = {
    "holds": "good",
    "does not hold": "bad",
    "undecided": "unsure",
    "by construction": "stand-in",
    "cannot be tested here": "absent",
}
"""The verdicts on a claim, in the order of summaries, with their tone."""

OUTCOMES: Final[Mapping[str, str]] = {
    "passed": "good",
    "flagged": "bad",
    "undecided": "unsure",
    "not checked": "absent",
}
"""The outcomes of a check of evidence, with their tone."""

OPTIONAL: Final = (
    *("section", "effect", "interval", "n", "missing", "left_out"),
    *("construction", "explanation", "detail", "advice"),
)
"""What an entry may leave out."""


@dataclass(frozen=True, kw_only=True)
class PageFigure:
    """A figure as the page holds it; `csv` is offered for download."""

    id: str
    title: str
    caption: str = ""
    svg: str = field(repr=False)
    csv: str = field(default="", repr=False)


def page_figure(saved: SavedFigure, *, id: str, title: str, caption: str = "") -> PageFigure:  # noqa: A002
    """A figure for the page from the files that `figures.save` wrote."""
    return PageFigure(
        id=id,
        title=title,
        caption=caption,
        svg=saved.svg.read_text(encoding="utf-8"),
        csv=saved.csv.read_text(encoding="utf-8"),
    )


def render_page(
    title: str,
    intro: str,
    tables: Sequence[Table],
    figures: Sequence[PageFigure] = (),
    substitutions: Sequence[Facts] = (),
    claims: Sequence[Facts] = (),
    evidence: Sequence[Facts] = (),
    provenance: Mapping[str, str] | None = None,
    departures: Sequence[str] = (),
) -> str:
    """The page as one string of HTML: no script, nothing fetched, light and dark, from phone to desk.

    Args:
        intro: plain text; a blank line begins a paragraph.
        substitutions: what replaces the paper's data and models: keys `paper`, `here` and, if given, `reason`.
        claims: keys `id`, `text`, `section`, `verdict` (one of `VERDICTS`), and where they exist `effect` (number or
            text), `interval` ((low, high) or text), `n`, `missing` (what a test would need), `left_out` (cells that
            decide nothing, and why), `construction` (why the answer follows from how the profile was made) and
            `explanation` (why the claim does not hold here).
        evidence: keys `subject`, `check`, `outcome` (one of `OUTCOMES`) and, if given, `detail` and `advice`.
        provenance: versions, hardware, store, date and the like, shown in this order.
        departures: sentences on what else differs from the paper's experiment.
    """
    context = paper_context(title, intro, tables, figures, substitutions, claims, evidence, provenance, departures)
    return environment().get_template("page.html").render(context)


def paper_context(
    title: str,
    intro: str,
    tables: Sequence[Table],
    figures: Sequence[PageFigure] = (),
    substitutions: Sequence[Facts] = (),
    claims: Sequence[Facts] = (),
    evidence: Sequence[Facts] = (),
    provenance: Mapping[str, str] | None = None,
    departures: Sequence[str] = (),
    link: Link | None = None,
) -> dict[str, object]:
    """What the templates of `paper/` show; arguments as of `render_page`, and `link` as of `to_html`."""
    counts = count_states(tables)
    return {
        "title": title,
        "paragraphs": [part.strip() for part in intro.split("\n\n") if part.strip()],
        "summary": summarize(tables),
        "counts": [(state, n, STATES[state]) for state, n in counts.items() if n],
        "states": [(state, meaning, counts[state]) for state, meaning in STATES.items() if meaning.meaning],
        "tables": [(table, Markup(to_html(table, link)), data_url("text/csv", to_csv(table))) for table in tables],
        "figures": [
            (figure, data_url("image/svg+xml", figure.svg), figure.csv and data_url("text/csv", figure.csv))
            for figure in figures
        ],
        "substitutions": substitutions,
        "departures": departures,
        "claims": [with_tone(claim, "verdict", VERDICTS) for claim in claims],
        "claim_counts": tally(claims, "verdict", VERDICTS),
        "evidence": [with_tone(check, "outcome", OUTCOMES) for check in evidence],
        "evidence_counts": tally(evidence, "outcome", OUTCOMES),
        "provenance": provenance or {},
    }


@cache
def environment() -> Environment:
    """The templates, with escaping on; a name that a template uses and is not given is an error."""
    found = Environment(
        loader=PackageLoader("medrobust_leaderboard"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters["number"] = _format_number
    # "Table 2. White-box attacks" is "Table 2" in the list of contents.
    found.filters["short"] = lambda title: title.split(". ")[0].rstrip(".")
    found.filters["interval"] = _format_interval
    return found


def with_tone(entry: Facts, key: str, tones: Mapping[str, str]) -> dict[str, object]:
    """An entry with the tone of what it says under a key, and None for what it leaves out."""
    return {**dict.fromkeys(OPTIONAL), **entry, "tone": tones.get(str(entry[key]), "unsure")}


def tally(entries: Iterable[Facts], key: str, order: Mapping[str, str]) -> str:
    """Such as "holds (5), undecided (1)": counts in the order given, anything else after."""
    counts = Counter(str(entry[key]) for entry in entries)
    words = [*(word for word in order if word in counts), *(word for word in counts if word not in order)]
    return ", ".join(f"{word} ({counts[word]})" for word in words)


def _format_number(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3g}".replace("-", MINUS) if math.isfinite(value) else DASH
    return str(value)


def _format_interval(value: object) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(_format_number(end) for end in value)}]"
    return str(value)


def data_url(media_type: str, text: str) -> str:
    """A text as a link that holds it."""
    return f"data:{media_type};base64,{base64.b64encode(text.encode()).decode('ascii')}"
