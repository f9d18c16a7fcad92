"""Rankings as tables, for the terminal and every other format."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from ..table import Key, Table, TableCell
from .board import AttackName, AttackRanking, Duel, Flag, Ranking, Standing, Standings, Strength, Versus

LONG = 40
"""Characters from which the name of a model is shortened and spelled out below the table."""
DASH = "–"
WORST, CLEAN = "worst case", "clean"


def ranking_tables(ranking: Ranking) -> list[Table]:
    """The tables of every track: models, then attacks."""
    found: list[Table] = []
    for board in ranking.boards:
        found.append(standings_table(board.standings))
        if board.attacks is not None:
            found.append(attacks_table(board.attacks))
    return found


# Models --------------------------------------------------------------------------------------------------------------


def standings_table(standings: Standings) -> Table:
    """The models of a track: rank with its interval, clean accuracy, worst case, and a column for each attack."""
    track, rows = standings.track, standings.rows
    shorts = _shorts([row.name for row in rows])
    keys = {row.name: (_rank(row.rank, row.tied), _ranks(row), shorts[row.name]) for row in rows}
    cells: dict[tuple[Key, Key], TableCell] = {}
    for row in rows:
        key = keys[row.name]
        cells[key, (CLEAN,)] = _bare(row.clean)
        flagged = any(flag.kind == "evidence" and flag.bars for flag in row.flags)
        cells[key, (WORST,)] = replace(row.worst, state="flagged") if flagged else row.worst
        for attack in standings.attacks:
            if (cell := row.attacks.get(attack.name)) is not None:
                cells[key, (attack.short,)] = _bare(cell)
    seeds = sorted({seed for row in rows for seed in row.seeds})
    patients = "" if track.patients is None else f" of {track.patients} patients"
    return Table(
        id=f"models-{track.id}",
        title=f"Models on {track.title}",
        caption=f"Accuracy on {track.images} images{patients}, {_seeds(seeds)}. {WORST.capitalize()}: correct under "
        "every attack. Rank: by worst case, with its 95 % interval over "
        f"{'images' if track.patients is None else 'patients'}{' and seeds' if len(seeds) > 1 else ''}.",
        row_names=("rank", "95 %", "model"),
        rows=tuple(keys[row.name] for row in rows),
        column_names=("accuracy",),
        columns=((CLEAN,), (WORST,), *((attack.short,) for attack in standings.attacks)),
        cells=cells,
        notes=(*_flag_lines(rows, shorts), *_legend(shorts), *_attack_legend(standings.attacks)),
        nested=False,
    )


def _bare(cell: TableCell) -> TableCell:
    """A number without its interval: a row has room for that of the worst case alone."""
    return replace(cell, low=None, high=None)


def _rank(rank: int | None, tied: bool) -> str:
    return DASH if rank is None else f"{rank}{'=' if tied else ''}"


def _ranks(row: Standing) -> str:
    low, high = row.rank_low, row.rank_high
    if low is None or high is None:
        return DASH
    return str(low) if low == high else f"{low}{DASH}{high}"


def _seeds(seeds: Sequence[str]) -> str:
    return f"mean over seeds {', '.join(seeds)}" if len(seeds) > 1 else f"seed {seeds[0]}" if seeds else ""


def _flag_lines(rows: Iterable[Standing], shorts: Mapping[str, str]) -> Iterator[str]:
    """A line for each flag; what concerns several rows alike is said once."""
    told: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        for flag in row.flags:
            told.setdefault((flag.kind if flag.bars else "", flag_in_words(flag)), []).append(shorts[row.name])
    everybody = sum(1 for _ in rows) if isinstance(rows, Sequence) else 0
    for (kind, words), names in told.items():
        subject = "all models" if len(names) == everybody > 1 else ", ".join(names)
        mark = "! " if kind == "evidence" else "No rank: " if kind else ""
        yield f"{mark}{subject}: {words}"


def flag_in_words(flag: Flag) -> str:
    """A flag in one line: what it is about, the numbers behind it, what to do."""
    text = f"{flag.name}: {flag.detail}" if flag.detail else flag.name
    return f"{text}. {flag.advice}" if flag.advice and flag.bars else f"{text}; {flag.advice}" if flag.advice else text


# Attacks -------------------------------------------------------------------------------------------------------------


def attacks_table(ranking: AttackRanking) -> Table:
    """The attacks of a track: what each breaks, what it alone breaks, how much more than the next, and its cost."""
    keys = {
        s.attack.name: (
            _rank(s.rank, s.tied),
            s.attack.short,
            _cost(s.passes),
            _cost(s.seconds),
            "yes" if s.on_front else "",
        )
        for s in ranking.attacks
    }
    cells: dict[tuple[Key, Key], TableCell] = {}
    for s in ranking.attacks:
        key = keys[s.attack.name]
        cells[key, ("breaks",)] = s.broken
        cells[key, ("alone",)] = TableCell(value=s.alone)
        if s.next is not None:
            cells[key, ("more than next",)] = _versus_cell(s, s.next)
    count = len(ranking.models)
    models = f"{count} models" if count > 1 else ranking.models[0] if ranking.models else "no model"
    return Table(
        id=f"attacks-{ranking.track.id}",
        title=f"Attacks on {ranking.track.title}",
        caption=f"Of {ranking.images} images that {models} get right when clean. Alone: no other attack breaks them. "
        "Passes (forward and backward) and seconds are for each image; front: no other attack breaks as much with as "
        "few passes.",
        row_names=("rank", "attack", "passes", "seconds", "front"),
        rows=tuple(keys[s.attack.name] for s in ranking.attacks),
        column_names=("share",),
        columns=(("breaks",), ("alone",), ("more than next",)),
        cells=cells,
        notes=(
            *_attack_legend([s.attack for s in ranking.attacks]),
            *(f"Not compared: {left.what}: {left.why}." for left in ranking.left_out),
        ),
        nested=False,
    )


def _cost(value: float | None) -> str:
    return DASH if value is None else f"{value:.3g}"


def _versus_cell(strength: Strength, versus: Versus) -> TableCell:
    note = f"{strength.attack.short} and the next: {p_in_words(versus)}"
    return TableCell(value=versus.difference, low=versus.low, high=versus.high, note=note)


def p_in_words(versus: Versus) -> str:
    """Such as "p = 0.012 (McNemar, clustered; Holm)"."""
    if versus.adjusted is None:
        return "no test: all images belong to one group"
    p = "p < 0.001" if versus.adjusted < 0.001 else f"p = {versus.adjusted:.2g}"
    kind = "clustered" if "clustered" in versus.test else "exact"
    return f"{p} (McNemar, {kind}; Holm)"


# Duels ---------------------------------------------------------------------------------------------------------------


def duel_lines(duels: Sequence[Duel]) -> list[str]:
    """Whether one attack is stronger than another: a verdict for each pair, and a line for each track."""
    pairs: dict[tuple[str, str], list[Duel]] = {}
    for duel in duels:
        pairs.setdefault((duel.first.name, duel.second.name), []).append(duel)
    lines: list[str] = []
    for (first, second), mine in pairs.items():
        lines.append(f"{first} against {second}: {_verdict(mine)}")
        lines += [f"  {_duel_line(duel)}" for duel in mine]
    return lines


def _verdict(duels: Sequence[Duel]) -> str:
    stronger = sum(d.versus.significant and d.versus.difference > 0 for d in duels)
    weaker = sum(d.versus.significant and d.versus.difference < 0 for d in duels)
    on = "" if len(duels) == 1 else f" on {{}} of {len(duels)} tracks"
    parts = [f"{word}{on.format(n)}" for word, n in (("stronger", stronger), ("weaker", weaker)) if n]
    return ", ".join(parts) or "no significant difference"


def _duel_line(duel: Duel) -> str:
    versus = duel.versus
    interval = "" if versus.low is None or versus.high is None else f" [{_points(versus.low)}, {_points(versus.high)}]"
    breaks = (duel.both + duel.only_first) / duel.n, (duel.both + duel.only_second) / duel.n
    models = "1 model" if duel.models == 1 else f"{duel.models} models"
    return (
        f"{duel.track.title}: breaks {breaks[0]:.1%} of {duel.n} images of {models}, {duel.second.short} "
        f"{breaks[1]:.1%}: "
        f"{_points(versus.difference)} points{interval}, {p_in_words(versus)}; {duel.only_first} by {duel.first.short} "
        f"alone, {duel.only_second} by {duel.second.short} alone, {duel.both} by both, {duel.neither} by neither"
    )


def _points(value: float) -> str:
    return f"{100 * value:+.1f}".replace("-", "−")


# Long names ----------------------------------------------------------------------------------------------------------


def _shorts(names: Iterable[str]) -> dict[str, str]:
    """Names of models as a table shows them: long ones are cut and numbered."""
    shorts: dict[str, str] = {}
    for name in names:
        count = 1 + sum(short != long for long, short in shorts.items())
        shorts[name] = name if len(name) <= LONG else f"{name[: LONG - 9].rstrip(' (,+')}… #{count}"
    return shorts


def _legend(shorts: Mapping[str, str]) -> Iterator[str]:
    yield from (f"{short}: {name}" for name, short in shorts.items() if short != name)


def _attack_legend(attacks: Iterable[AttackName]) -> Iterator[str]:
    yield from (f"{attack.short}: {attack.name}" for attack in attacks if attack.short != attack.name)
