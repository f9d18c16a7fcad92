"""Writes a distribution with one plugin: entry point, module, tests, grid, README and CI."""

from __future__ import annotations

import importlib.util
import keyword
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ..errors import MedrobustError
from ..plugins.contract_version import CONTRACT

KINDS: Final[Mapping[str, str]] = {
    "attack": "medrobust_attacks",
    "universal-attack": "medrobust_attacks",
    "defense": "medrobust_defenses",
    "detector": "medrobust_defenses",
    "model": "medrobust_models",
    "dataset": "medrobust_datasets",
    "probe": "medrobust_probes",
}
"""What can be written, with the hook that offers it."""
FILES: Final[Mapping[str, str]] = {
    "pyproject.toml": "pyproject.toml.jinja",
    "README.md": "README.md.jinja",
    "grid.toml": "grid.toml.jinja",
    "tests/test_{module}.py": "test.py.jinja",
    ".github/workflows/tests.yml": "tests.yml.jinja",
    ".gitignore": "gitignore.jinja",
}
"""Files beside the module, with their templates."""
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


@dataclass(frozen=True)
class Scaffold:
    """A distribution to be written.

    Attributes:
        kind: one of `KINDS`.
        name: of the distribution and of the plugin, such as `my-attack`.
    """

    kind: str
    name: str

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise MedrobustError(f"'{self.name}' is no name for a distribution; write small letters, digits and '-'")
        if keyword.iskeyword(self.module) or self.module in sys.stdlib_module_names:
            raise MedrobustError(f"'{self.module}' means something else to Python; choose another name")
        if importlib.util.find_spec(self.module) is not None:
            raise MedrobustError(f"a module '{self.module}' is installed already; choose another name")

    @property
    def module(self) -> str:
        """Name of its module."""
        return self.name.replace("-", "_")

    @property
    def class_name(self) -> str:
        """Name of its class."""
        return "".join(part.capitalize() for part in self.name.split("-"))

    def files(self) -> dict[str, str]:
        """The text of each file by its path."""
        import jinja2

        environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
            undefined=jinja2.StrictUndefined,
            keep_trailing_newline=True,
            autoescape=False,
            trim_blocks=True,
        )
        facts = {"kind": self.kind, "name": self.name, "module": self.module, "class_name": self.class_name}
        facts |= {"hook": KINDS[self.kind], "contract": str(CONTRACT)}
        templates = {**FILES, f"{self.module}.py": f"{self.kind}.py.jinja"}
        return {
            path.format(module=self.module): environment.get_template(template).render(facts)
            for path, template in templates.items()
        }

    def write(self, folder: Path) -> list[Path]:
        """Write all files to a folder that is new or empty.

        Raises:
            MedrobustError: if there is something in it.
        """
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise MedrobustError(f"{folder} is there already; name another place with --out")
        written = []
        for path, text in self.files().items():
            file = folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
            written.append(file)
        return written
