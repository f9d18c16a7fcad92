"""What is released: one version, whom to cite, whose files are in it, and what the wheel holds."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import yaml

import medrobust

ROOT = Path(__file__).parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
CITATION: dict[str, Any] = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
CITATION_KEYS = {
    *("abstract", "authors", "cff-version", "commit", "contact", "date-released", "doi", "identifiers", "keywords"),
    *("license", "license-url", "message", "preferred-citation", "references", "repository", "repository-artifact"),
    *("repository-code", "title", "type", "url", "version"),
}
"""All that version 1.2.0 of the format knows."""
VENDORED = (".min.js", ".min.css", ".woff", ".woff2", ".ttf")


@pytest.fixture(scope="module")
def tracked() -> list[PurePosixPath]:
    """The files of the repository, those that are new and not ignored included."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a clone")
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return [PurePosixPath(line) for line in done.stdout.splitlines() if (ROOT / line).exists()]


def test_one_file_says_the_version() -> None:
    assert PROJECT["project"]["dynamic"] == ["version"]
    assert "version" not in PROJECT["project"]
    place = ROOT / PROJECT["tool"]["hatch"]["version"]["path"]
    assert re.findall(r'^__version__ = "([^"]+)"$', place.read_text(encoding="utf-8"), re.MULTILINE) == [
        medrobust.__version__
    ]
    assert "version" not in CITATION


def test_the_program_says_its_version() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "medrobust.cli", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"medrobust {medrobust.__version__}\n"


def test_the_citation_is_one() -> None:
    assert CITATION["cff-version"] == "1.2.0"
    assert CITATION["type"] in ("software", "dataset")
    assert CITATION.keys() <= CITATION_KEYS
    for key in ("message", "title", "abstract"):
        assert CITATION[key].strip()
    assert CITATION["authors"]
    for author in CITATION["authors"]:
        assert "name" in author or {"family-names", "given-names"} <= author.keys()
    # Its own files; the wheel's licence names that of the files of others, too.
    assert CITATION["license"] in PROJECT["project"]["license"].split()
    assert CITATION["keywords"] == PROJECT["project"]["keywords"]


def test_the_notice_names_every_file_of_others(tracked: list[PurePosixPath]) -> None:
    notice = (ROOT / "NOTICE").read_text(encoding="utf-8")
    found = [file for file in tracked if file.name.endswith(VENDORED)]
    assert len(found) >= 2
    for file in found:
        assert f"\n{file}\n" in notice
        assert [each for each in tracked if each.parent == file.parent and "LICENSE" in each.name.upper()] or (
            f"{file.name})" in (ROOT / file.parent / "NOTICES.txt").read_text(encoding="utf-8")
        )
    for path in re.findall(r"[\w./]+/[\w.]+\.(?:js|txt)", notice):
        assert (ROOT / path).is_file(), path


def test_licence_files_are_there() -> None:
    for name in PROJECT["project"]["license-files"]:
        assert (ROOT / name).is_file()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel, made of the source distribution as a packager makes it."""
    if (uv := shutil.which("uv")) is None:
        pytest.skip("uv is not here")
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run([uv, "build", "--quiet", "--out-dir", str(folder)], cwd=ROOT, check=True)
    (built,) = folder.glob("*.whl")
    return zipfile.ZipFile(built)


@pytest.mark.long
def test_the_wheel_holds_the_packages_and_nothing_else(wheel: zipfile.ZipFile, tracked: list[PurePosixPath]) -> None:
    packages = [PurePosixPath(path) for path in PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]]
    expected = {
        str(file.relative_to(package.parent))
        for package in packages
        for file in tracked
        if file.is_relative_to(package)
    }
    facts = f"medrobust-{medrobust.__version__}.dist-info/"
    held = {name for name in wheel.namelist() if not name.startswith(facts)}
    assert held == expected
    for ending in ("py.typed", ".pyi", ".toml", ".csv", ".jinja", ".html", ".css", ".js"):
        assert any(name.endswith(ending) for name in held), ending
    assert {f"{package.name}/py.typed" for package in packages} <= held
    licences = {name.removeprefix(f"{facts}licenses/") for name in wheel.namelist() if "/licenses/" in name}
    assert licences == set(PROJECT["project"]["license-files"])
