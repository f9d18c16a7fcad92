"""What to cite for results: the publications behind the plugins that records name, papers and software, with terms."""

from __future__ import annotations

import importlib.metadata
import json
import re
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ..contracts import Reference
from .hookspecs import KINDS
from .libraries import libraries_of
from .recorded import recorded_plugins
from .registered import RegisteredPlugin
from .registry import Registry

UNSTATED: Final = "terms not stated: to be checked at the source"
PYTORCH: Final = Reference(
    ("A. Paszke", "S. Gross", "F. Massa", "others"),
    "PyTorch: An imperative style, high-performance deep learning library",
    "NeurIPS",
    2019,
)


@dataclass(frozen=True)
class Used:
    """What records rest on.

    Attributes:
        plugins: installed plugins, in the order of their kinds.
        absent: names of plugins that are not installed here.
        papers: papers whose grids were run, by name.
    """

    plugins: tuple[RegisteredPlugin, ...]
    absent: tuple[str, ...]
    papers: dict[str, Reference]

    @classmethod
    def of(cls, identities: Iterable[str], grids: Iterable[str], registry: Registry) -> Used:
        """Find it in what a store holds.

        Args:
            identities: of its cells, as JSON.
            grids: names of the grids that were run, such as `ma2020/grid:smoke`.
            registry: where plugins and papers are looked up.
        """
        found = [p for text in dict.fromkeys(identities) for p in recorded_plugins(json.loads(text), registry)]
        plugins = {(each.kind, each.qualified): each for each in found if isinstance(each, RegisteredPlugin)}
        absent = dict.fromkeys(each for each in found if isinstance(each, str))
        folders = {grid.partition("/")[0] for grid in grids}
        papers = {name: _paper(folder) for name, folder in registry.papers().items() if name in folders}
        return cls(tuple(sorted(plugins.values(), key=lambda o: (KINDS.index(o.kind), o.name))), tuple(absent), papers)

    def references(self) -> Iterator[Reference]:
        """All publications, software last."""
        for plugin in self.plugins:
            yield from plugin.references
        yield from self.papers.values()
        yield PYTORCH

    def lines(self) -> Iterator[str]:
        """The list for people."""
        for kind in KINDS:
            told = [each for each in self.plugins if each.kind == kind and _is_told(each)]
            if told:
                yield {"dataset": "Data sets"}.get(kind, f"{kind.capitalize()}s")
            for each in told:
                yield f"  {each.name}" + (f" ({_terms(each)})" if _terms(each) else "")
                yield from (f"    {reference}" for reference in each.references)
            if told:
                yield ""
        if self.papers:
            yield "Papers whose grids were run"
            for name, reference in self.papers.items():
                yield from (f"  {name}", f"    {reference}")
            yield ""
        yield "Software"
        yield from (f"  {line}" for line in self._software())
        yield f"    {PYTORCH}"
        if silent := [each.name for each in self.plugins if not _is_told(each) and each.name != "none"]:
            yield f"\nNothing to cite beyond the software for: {', '.join(silent)}"
        if self.absent:
            yield (
                f"\nNot installed here, so not known: {', '.join(self.absent)}. Install their distributions, or load "
                "local files with --plugin"
            )

    def _software(self) -> Iterator[str]:
        """Each distribution behind the plugins, with its version and licence."""
        libraries = (name for each in self.plugins for name in libraries_of(each.plugin))
        for name in dict.fromkeys(("medrobust", *(each.distribution for each in self.plugins), *libraries)):
            try:
                facts = importlib.metadata.metadata(name).json
            except importlib.metadata.PackageNotFoundError:
                yield f"{name} (local file)"
                continue
            licence = facts.get("license_expression") or str(facts.get("license", "")).partition("\n")[0]
            yield f"{name} {facts['version']} ({licence or UNSTATED})"


def _is_told(plugin: RegisteredPlugin) -> bool:
    return bool(plugin.references or _terms(plugin))


def _terms(plugin: RegisteredPlugin) -> str:
    """Terms of images and weights; code has those of its distribution."""
    return plugin.plugin.licence or (UNSTATED if plugin.kind == "dataset" else "")


def _paper(folder: Path) -> Reference:
    """What `paper.toml` says: `title`, and `citation` as authors, a full stop, venue and year."""
    try:
        facts = tomllib.loads((folder / "paper.toml").read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError):
        facts = {}
    authors, _, rest = str(facts.get("citation", "")).partition(". ")
    year = re.search(r",? *\b((?:19|20)\d\d)\b", rest)
    venue = rest.replace(year[0], "", 1) if year else rest
    names = tuple(name for name in authors.split(", ") if name)
    return Reference(names, str(facts.get("title", folder.name)), venue, int(year[1]) if year else 0)
