"""Speed of attacks beside foolbox, ART and torchattacks: one command, one table, one CSV file.

    uv run --with torchattacks python benchmarks/attacks.py

See README.md in this folder for what is measured and how.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import torch
from contestants import CONTESTANTS, EARLY, LIMIT, LOW, MIXED, OURS, PEERS, Work, engine_batch_size, entrants
from measuring import Booth, Setting, Timing, hardware, in_turns, versions
from problems import NETWORKS, load
from rich.console import Console
from rich.table import Table

MIB = 2**20
TOLERANCE = 0.02
"""Robust accuracies this close, or one image apart, count as the same: random starts differ."""
FIXED_BARS = {"foolbox": 2.5, "ART": 2.5, "torchattacks": 1.7}
"""How many times as fast as a peer, for equal steps."""
SAME_RESULT_BARS = {"foolbox": 8.0, "ART": 8.0}
"""How many times as fast as a peer to the same robust accuracy."""
LIMIT_BAR = 1.10
"""Time over that of the bare passes."""


@dataclass(frozen=True)
class Case:
    """One attack on one network.

    Attributes:
        network: its name.
        eps: radius (linf) in grey levels of 255.
        work: the attack.
        repeats: as many as fit the time the whole may take.
    """

    network: str
    eps: float
    work: Work
    repeats: int

    @property
    def name(self) -> str:
        unit = "queries" if self.work.kind == "square" else "steps"
        return f"{self.work.kind}, {self.work.steps} {unit}, {NETWORKS[self.network].label}, eps {self.eps:g}/255"


CASES = (
    Case("small-resnet", 2, Work("pgd", 20), 7),
    Case("small-resnet", 8, Work("pgd", 20), 5),
    Case("densenet121", 2, Work("pgd", 20), 3),
    Case("inception_v3", 2, Work("pgd", 20), 3),
    Case("resnet50", 1, Work("pgd", 20), 3),
    Case("small-resnet", 2, Work("cw", 20), 5),
    Case("small-resnet", 4, Work("square", 300), 5),
)


@dataclass(frozen=True)
class Row:
    """One contestant in one case, with the bars it takes part in.

    Attributes:
        times: at equal steps, the time of a peer over that of medrobust; for the limit, that of medrobust over it (the
            bar is at most 1.10); until success, full strength over it (never slower);
            for another precision of medrobust, the fastest peer's float32 over it.
        to_same: the peer's time over that of medrobust until success.
        same_result: whether its robust accuracy is that of medrobust.
    """

    case: str
    contestant: str
    images: int
    batch_size: int
    eps: float
    steps: int
    clean_accuracy: float
    prepare: float
    median: float
    fastest: float
    slowest: float
    repeats: int
    robust_accuracy: float
    memory: int
    same_result: bool
    times: float | None = None
    fixed_bar: str = ""
    to_same: float | None = None
    same_bar: str = ""
    memory_bar: str = ""


def rows_of(case: Case, timings: Mapping[str, Timing], batch_size: int, images: int, accuracy: float) -> list[Row]:
    """The rows of a case, judged by the bars."""
    ours, early = timings[OURS], timings[EARLY]
    close = max(TOLERANCE, 1 / images) + 1e-9
    least = min(t.memory for name, t in timings.items() if name in PEERS)
    gradients = case.work.kind != "square"
    rows = []
    for name, t in timings.items():
        row = Row(
            case.name, name, images, batch_size, case.eps, case.work.steps, accuracy, t.prepare, t.median,
            min(t.seconds), max(t.seconds), len(t.seconds), t.accuracy, t.memory,
            same_result=name == LIMIT or abs(t.accuracy - ours.accuracy) <= close,
        )  # fmt: skip
        if name in PEERS:
            times, to_same = t.median / ours.median, t.median / early.median
            row = replace(row, times=times, to_same=to_same)
            if gradients:
                row = replace(row, fixed_bar=_verdict(times >= FIXED_BARS[name], f">= {FIXED_BARS[name]}"))
            if gradients and name in SAME_RESULT_BARS:
                reached = to_same >= SAME_RESULT_BARS[name] and abs(t.accuracy - early.accuracy) <= close
                row = replace(row, same_bar=_verdict(reached, f">= {SAME_RESULT_BARS[name]:g}"))
        elif name == LIMIT:
            times = ours.median / t.median
            row = replace(row, times=times, fixed_bar=_verdict(times <= LIMIT_BAR, f"<= {LIMIT_BAR:.2f}"))
        elif name == EARLY:
            faster = ours.median / t.median
            row = replace(row, times=faster, fixed_bar=_verdict(faster >= 1, ">= 1"))
        elif name in (LOW, MIXED):
            row = replace(row, times=min(timings[peer].median for peer in PEERS if peer in timings) / t.median)
        elif name == OURS:
            row = replace(row, memory_bar=_verdict(t.memory <= least, "<= peers"))
        rows.append(row)
    return rows


def _verdict(reached: bool, bar: str) -> str:
    return f"{'pass' if reached else 'FAIL'} ({bar})"


def table_of(rows: Sequence[Row], title: str) -> Table:
    """The rows as a table, a section a case."""
    table = Table(title=title, title_justify="left")
    table.add_column("library", no_wrap=True)
    for heading in ("median s", "min-max s", "robust acc.", "medrobust is x as fast", "to same result", "peak MiB"):
        table.add_column(heading, justify="right")
    for case, group in itertools.groupby(rows, key=lambda r: r.case):
        for index, r in enumerate(group):
            if not index:
                table.add_section()
                table.add_row(f"[bold]{case}[/]")
            accuracy = "" if r.contestant == LIMIT else f"{r.robust_accuracy:.3f}" + ("" if r.same_result else " (!)")
            speed = "" if r.times is None else f"{r.times:.2f} {_colour(r.fixed_bar)}"
            same = "" if r.to_same is None else f"{r.to_same:.1f} {_colour(r.same_bar)}"
            memory = f"{r.memory / MIB:.0f} {_colour(r.memory_bar)}"
            name = f"  {r.contestant}" + (" (medrobust takes x times this)" if r.contestant == LIMIT else "")
            table.add_row(name, f"{r.median:.3f}", f"{r.fastest:.3f}-{r.slowest:.3f}", accuracy, speed, same, memory)
    return table


def _colour(bar: str) -> str:
    return bar and f"[{'green' if bar.startswith('pass') else 'red'}]{bar}[/]"


def measure(case: Case, booths: Mapping[str, Booth], options: argparse.Namespace, console: Console) -> list[Row]:
    """The rows of one case."""
    network = NETWORKS[case.network]
    work = case.work if not options.steps else replace(case.work, steps=options.steps)
    case = replace(case, work=work, repeats=options.repeats or case.repeats)
    images = min(options.images or network.images, network.images)
    problem = load(network, cache=options.cache, device=options.device, eps=case.eps)
    size = engine_batch_size(problem.first(images, images))
    setting = Setting(case.network, case.eps, work, images, size, options.cache, options.device, options.threads)
    begun = time.perf_counter()

    def done(name: str, repeat: int, seconds: float) -> None:
        console.print(
            f"  {time.perf_counter() - begun:6.1f} s  {name}, repeat {repeat + 1}: {seconds:.3f} s", style="dim"
        )

    console.print(f"[bold]{case.name}[/], {images} images in batches of {size}", highlight=False)
    entered = {name: booths[name] for name in entrants(work.kind)}
    return rows_of(case, in_turns(entered, setting, case.repeats, done), size, images, problem.accuracy)


def write_csv(rows: Sequence[Row], path: Path, facts: Mapping[str, str]) -> None:
    """The raw figures, with date, versions and hardware in every line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, [*asdict(rows[0]), *facts], lineterminator="\n")
        writer.writeheader()
        writer.writerows({**asdict(row), **facts} for row in rows)


def markdown(rows: Sequence[Row], facts: Mapping[str, str]) -> str:
    """The table as Markdown, a section a case."""
    lines = [
        "# Attacks beside foolbox, ART and torchattacks",
        "",
        f"{facts['date']}, {facts['hardware']}. {facts['versions']}.",
        "",
        "Median seconds of interleaved repeats; `README.md` says how they are measured, the CSV has the raw figures.",
        "At equal steps: a peer's time over that of medrobust, for the limit that of medrobust over it; until success,",
        "full strength over it; for bfloat16 and mixed, the fastest peer's (which computes in float32) over it.",
        "To the same result: a peer's time over that of medrobust until success. `(!)` marks another robust accuracy.",
    ]
    heads = ("library", "median s", "robust acc.", "at equal steps", "to same result", "peak MiB")
    for case, group in itertools.groupby(rows, key=lambda r: r.case):
        listed = list(group)
        first = listed[0]
        title = f"## {case}: {first.images} images in batches of {first.batch_size}"
        told = f"The network gets {first.clean_accuracy:.0%} of held-out images right; those attacked are among them."
        lines += ["", title, "", told, "", f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
        for r in listed:
            accuracy = "" if r.contestant == LIMIT else f"{r.robust_accuracy:.3f}" + ("" if r.same_result else " (!)")
            speed = "" if r.times is None else f"{r.times:.2f} {r.fixed_bar}"
            same = "" if r.to_same is None else f"{r.to_same:.1f} {r.same_bar}"
            cells = (r.contestant, f"{r.median:.3f}", accuracy, speed, same, f"{r.memory / MIB:.0f} {r.memory_bar}")
            lines.append(f"| {' | '.join(c.strip() for c in cells)} |")
    return "\n".join(lines) + "\n"


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    here = Path(__file__).parent
    parser.add_argument("--case", action="append", metavar="TEXT", help="only cases whose name contains TEXT")
    parser.add_argument("--repeats", type=int, help="repeats of every case, instead of its own number")
    parser.add_argument("--images", type=int, help="attack only the first N images")
    parser.add_argument("--steps", type=int, help="steps or queries of every case, instead of its own number")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="threads of torch (all cores)")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--prepare", action="store_true", help="train the networks into the cache and stop")
    parser.add_argument("--csv", type=Path, default=here / "attacks.csv", help="where the raw figures go")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "medrobust-benchmarks")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write; 0 if every bar is reached."""
    options = parse(arguments)
    torch.set_num_threads(options.threads)
    console = Console(width=max(Console().width, 150))
    chosen = [c for c in CASES if not options.case or any(text in c.name for text in options.case)]
    if not chosen:
        console.print(f"no case is called so; there are: {'; '.join(c.name for c in CASES)}")
        return 2
    for network in dict.fromkeys(c.network for c in chosen):
        begun = time.perf_counter()
        load(NETWORKS[network], cache=options.cache, device=options.device)
        console.print(f"{NETWORKS[network].label} ready in {time.perf_counter() - begun:.1f} s", style="dim")
    if options.prepare:
        return 0
    facts = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "hardware": hardware(options.device, options.threads),
        "versions": versions(),
    }
    rows: list[Row] = []
    booths = {name: Booth(name) for name in CONTESTANTS}
    try:
        for case in chosen:
            rows += measure(case, booths, options, console)
            write_csv(rows, options.csv, facts)
    finally:
        for booth in booths.values():
            booth.close()
    options.csv.with_suffix(".md").write_text(markdown(rows, facts), encoding="utf-8")
    console.print(table_of(rows, f"{facts['date']}, {facts['hardware']}\n{facts['versions']}"))
    bars = [b for r in rows for b in (r.fixed_bar, r.same_bar, r.memory_bar) if b]
    missed = sum(b.startswith("FAIL") for b in bars)
    console.print(f"{len(bars) - missed} of {len(bars)} bars reached. Raw figures: {options.csv}")
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
