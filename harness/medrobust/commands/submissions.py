"""`medrobust submit`: cells of a store as one archive for others; and `medrobust verify` of such an archive."""

from __future__ import annotations

import dataclasses
import json
import shlex
import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import MedrobustError
from .next_command import next_command
from .options import JsonOption, PluginOption
from .printing import counted
from .sessions import open_registry, open_session
from .store import StoreArgument, human_bytes, opened_store, say
from .verified import Draw, in_words, print_cells, print_json

if TYPE_CHECKING:
    from ..engine.submissions import Findings
    from ..plugins.packing import Source
    from ..plugins.registry import Registry
    from ..results.store import Store
    from ..results.submission import Submission

WhereOption = Annotated[
    list[str] | None,
    typer.Option(
        "--where", metavar="AXIS=PATTERN", help="Only cells that fit, such as attack=pgd*,seed=0; can be repeated."
    ),
]


def submit(
    store: StoreArgument,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The archive to write (.zip).")],
    where: WhereOption = None,
    no_source: Annotated[
        bool,
        typer.Option("--no-source", help="Withhold the source of your plugins; nobody can then verify their cells."),
    ] = False,
    with_images: Annotated[
        bool,
        typer.Option("--with-images", help="Include example images of data sets whose terms permit passing them on."),
    ] = False,
    with_ids: Annotated[
        bool, typer.Option("--with-ids", help="Tell ids of samples and patients as they are, not as hashes.")
    ] = False,
    plugin: PluginOption = None,
    as_json: JsonOption = False,
) -> None:
    """Pack current results with weights, perturbations, versions and the source of plugins that are not bundled.

    Commands as they were typed, local paths, ids of samples and patients, and images are not told. Weights are: who has
    them can learn something of the images that they were trained on.
    """
    from ..results.filters import chosen, parse_where
    from ..results.publication import Publication
    from ..results.submission import write_submission

    if out.suffix.lower() != ".zip":
        raise MedrobustError(f"--out {out}: the name of a submission ends in .zip")
    opened = opened_store(store)
    cells = chosen(opened, parse_where(where or ()))
    if not cells:
        raise MedrobustError(
            f"{store} holds no current results that fit; 'medrobust store ls {store}' lists what it has"
        )
    registry = open_registry(plugin)
    sources = None if no_source else _sources(opened, cells, registry)
    publication = Publication.of(opened, with_ids=with_ids, with_images=with_images)
    excerpt = write_submission(opened, cells, out, publication, registry, sources)
    size = out.stat().st_size
    names = [f"{each.distribution} {each.version}" for each in sources or ()]
    if as_json:
        facts = {"submission": str(out), "bytes": size, "source": None if no_source else names}
        typer.echo(json.dumps({**facts, **dataclasses.asdict(excerpt)}, indent=1))
        return
    parts = [
        counted(excerpt.cells, "cell"),
        counted(excerpt.weights, "set of weights"),
        counted(excerpt.perturbations, "perturbation"),
    ]
    say(f"Wrote {out}: {', '.join(parts)}; {human_bytes(size)}.")
    say(f"Source of plugins: {_told(names, no_source=no_source)}.")
    say(f"Ids of samples and patients: {'as they are' if with_ids else 'hashes, with a salt that is kept nowhere'}.")
    images = f"{counted(excerpt.probes, 'probe')} with images" if excerpt.probes else "none"
    say(f"Images: {images}{_withheld(excerpt.withheld, with_images=with_images)}.")
    next_command("verify", out)


def _told(names: Sequence[str], *, no_source: bool) -> str:
    if no_source:
        return "withheld (--no-source), so that cells of plugins that are not bundled cannot be verified"
    return f"{', '.join(names)}, as it is: look through it for what is not for others" if names else "all bundled"


def _withheld(count: int, *, with_images: bool) -> str:
    if not count:
        return ""
    why = "their data sets do not permit it" if with_images else "--with-images adds those that may be shown"
    return f"; {counted(count, 'probe')} left out ({why})"


def _sources(store: Store, cells: set[str], registry: Registry) -> list[Source]:
    """The source behind cells, of all plugins that are not bundled.

    Raises:
        MedrobustError: if a plugin is not loaded.
    """
    from ..plugins.packing import sources
    from ..plugins.recorded import recorded_plugins

    frame = store.cells(["identity", "clean"])
    wanted = cells | set(frame.loc[frame.index.isin(cells), "clean"].dropna())
    identities = frame.loc[frame.index.isin(wanted), "identity"].dropna()
    named = [each for text in identities for each in recorded_plugins(json.loads(text), registry)]
    if absent := sorted({each for each in named if isinstance(each, str)}):
        raise MedrobustError(
            f"the source of {', '.join(absent)} is not here: give --plugin FILE, or install what it is part of; with "
            "--no-source it is withheld, and nobody can verify its cells"
        )
    offers = {each.qualified: each for each in named if not isinstance(each, str) and not each.bundled}
    return sources(offers[name] for name in sorted(offers))


# Verifying ------------------------------------------------------------------------------------------------------------


def verify_file(file: Path, draw: Draw, *, trust_code: bool, plugin: Sequence[Path], **options: Any) -> Counter[str]:
    """Verify a submission in a folder that is removed again, print what was found, and count it.

    Args:
        file: the archive.
        draw: what to verify.
        trust_code: whether plugins in it may run.
        plugin: local plugin files of this machine.
        **options: those of `open_session`.
    """
    from ..engine.submissions import importable, plugin_files, verify_submission
    from ..results.submission import open_submission

    with tempfile.TemporaryDirectory(prefix="medrobust-verify-") as folder:
        submission = open_submission(file, Path(folder) / "submission")
        with importable(submission) if trust_code else nullcontext():
            files = plugin_files(submission, tuple(plugin)) if trust_code else tuple(plugin)
            session = open_session(Path(folder) / "store", plugin=files, confined=True, **options)
            found = verify_submission(
                submission, session, sample=draw.sample, seed=draw.seed, refit=draw.refit, watcher=draw.watcher()
            )
    told = [*found.contradictions, *found.drawn]
    outcomes = Counter(str(each.outcome) for each in told)
    if draw.as_json:
        facts = {"submission": str(file), **dataclasses.asdict(submission.facts), "foreign": dict(found.foreign)}
        print_json({**facts, "candidates": found.candidates}, draw, outcomes, told)
    else:
        _print_facts(submission, trust_code=trust_code)
        if told:
            print_cells(told)
        if found.contradictions:
            say(f"{counted(len(found.contradictions), 'cell')} of {found.total} contradicted without running anything.")
        if found.drawn:
            drawn = Counter(str(each.outcome) for each in found.drawn)
            say(f"{len(found.drawn)} of {counted(found.candidates, 'cell')} drawn with {draw}: {in_words(drawn)}.")
        _print_foreign(submission, found)
        _print_next(submission, found, draw, trust_code=trust_code)
    return outcomes + Counter({"not run": sum(found.foreign.values())})


def _print_facts(submission: Submission, *, trust_code: bool) -> None:
    facts = submission.facts
    images = ", with images" if facts.images else ""
    say(
        f"{submission.file}: {counted(facts.cells, 'cell')}, packed {facts.created}; ids {facts.ids}, source "
        f"{facts.source}{images}."
    )
    if trust_code and facts.plugins:
        say(f"Code from the archive was run: {', '.join(sorted(submission.distributions))}.")


def _print_foreign(submission: Submission, found: Findings) -> None:
    """Of which cells nothing can be said, and why."""
    for name, count in sorted(found.foreign.items()):
        say(f"{counted(count, 'cell')} cannot be verified without the plugin {name}, {_where(name, submission)}.")


def _where(name: str, submission: Submission) -> str:
    if name.startswith("memory:"):
        return "which a program handed in"
    if name.partition(":")[0] in submission.distributions:
        return "whose source is in the archive: read it (source/); --trust-code runs it, with all that you may do here"
    if submission.facts.source == "withheld":
        return "whose source is withheld: a board calls them not verifiable"
    return "which is not in the archive: give --plugin FILE or install it"


def _print_next(submission: Submission, found: Findings, draw: Draw, *, trust_code: bool) -> None:
    file = str(submission.file)
    if found.different:
        say("Not as told. Ask the submitter how the cells above came about; nothing of it belongs on a board.")
    elif found.foreign and submission.distributions and not trust_code:
        say(f"Next: unzip {shlex.quote(file)} 'source/*', read it, then")
        next_command("verify", file, "--trust-code", sample=draw.sample, seed=draw.seed)
    elif not found.unverified:
        next_command("merge", "BOARD", file, out="NEW-BOARD")
