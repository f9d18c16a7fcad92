"""Fixtures that all tests share: caches and stores of their own, and tiny plugins that need no bundled one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from importlib.metadata import entry_points
from pathlib import Path

import numpy as np
import pytest
import torch

import medrobust.pytest_plugin
from medrobust import Arithmetic
from medrobust.api import Grid, Registry, Session, Store, parse_grid

pytest_plugins = ["pytester"]

HERE = Path(__file__).parent
TINY = HERE / "tiny.py"
MISBEHAVING = HERE / "misbehaving.py"

# Tests run in one process a core, and so do the programs they start; more threads than cores would only wait.
os.environ.setdefault("OMP_NUM_THREADS", "1")
torch.set_num_threads(1)

MakeSession = Callable[..., Session]
MakeGrid = Callable[..., Grid]


@dataclass(frozen=True)
class Finished:
    """How a command ended."""

    status: int
    out: str
    err: str


Program = Callable[..., Finished]
Bits = Callable[[Path], dict[str, dict[str, object]]]
RunPytest = Callable[..., pytest.RunResult]

INSTALLED = bool(entry_points(group="pytest11", name="medrobust"))
"""Whether pytest finds the plugin by itself; an editable installation knows it once it has been made anew."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--precision",
        choices=["float32", "bfloat16"],
        default="float32",
        help="Arithmetic in which tests of crafting craft; with bfloat16, only those that take the fixture run.",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Order and selection.

    Tests of whole programs take longest and come first, so that no worker is left alone with them in the end. In
    another precision than the usual one, the tests that do not depend on it would only be repeated.
    """
    items.sort(key=lambda item: item.path.parent != HERE)
    if config.getoption("--precision") == "float32":
        return
    taken = [item for item in items if "precision" in getattr(item, "fixturenames", ())]
    config.hook.pytest_deselected(items=[item for item in items if item not in taken])
    items[:] = taken


@pytest.fixture(scope="session")
def precision(request: pytest.FixtureRequest) -> Arithmetic:
    """The arithmetic to craft in (`--precision`); pass it to the classifier, or to a grid as its key `precision`."""
    named: Arithmetic = request.config.getoption("--precision")
    return named


@pytest.fixture(scope="session", autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Decoded images go to a folder of this test session, never to the user's cache."""
    before = os.environ.get("MEDROBUST_CACHE")
    os.environ["MEDROBUST_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    yield
    if before is None:
        del os.environ["MEDROBUST_CACHE"]
    else:
        os.environ["MEDROBUST_CACHE"] = before


@pytest.fixture(scope="session")
def bits() -> Bits:
    """What a store says of each cell, to the last bit: its status, and every field of its record."""

    def read(place: Path) -> dict[str, dict[str, object]]:
        store = Store(place)
        found: dict[str, dict[str, object]] = {c: {"status": s} for c, s in store.cells([])["status"].items()}
        for cell, record in store.records(list(found)):
            values = {each.name: getattr(record, each.name) for each in fields(record)}
            for name, value in values.items():
                numbers = isinstance(value, np.ndarray) and value.dtype.kind in "biuf"
                found[cell][name] = (value.shape, value.tobytes()) if numbers else np.asarray(value).tolist()
        return found

    return read


@pytest.fixture(scope="session")
def tiny() -> Path:
    """The local plugin file with the tiny data set, model and attacks."""
    return TINY


@pytest.fixture(scope="session")
def misbehaving() -> Path:
    """The local plugin file with attacks that break the rules."""
    return MISBEHAVING


@pytest.fixture(scope="session")
def core() -> Registry:
    """The core's own offers and the tiny plugins, nothing that is installed."""
    return core_registry()


def core_registry() -> Registry:
    """A fresh registry with the core's own offers, the tiny plugins and the misbehaving ones."""
    from medrobust.plugins import builtin

    registry = Registry(strict=True)
    registry.add(builtin, "medrobust", "0", bundled=True)
    registry.load_file(TINY)
    registry.load_file(MISBEHAVING)
    return registry


@pytest.fixture
def grid(core: Registry) -> MakeGrid:
    """Parse the text of a grid with the tiny plugins at hand."""

    def make(text: str, **options: object) -> Grid:
        return parse_grid(tomllib.loads(text), core, where="grid.toml", **options)  # type: ignore[arg-type]

    return make


@pytest.fixture
def session(tmp_path: Path) -> MakeSession:
    """A session on a store of the test's own, on the CPU in this process, with the tiny and misbehaving plugins."""

    def make(store: Path | None = None, *, files: tuple[Path, ...] = (), workers: int = 1) -> Session:
        path = store or tmp_path / "store"
        return Session(path, (TINY, MISBEHAVING, *files), device="cpu", workers=workers)

    return make


@pytest.fixture
def program(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Program:
    """The command line with the tiny plugins, run in this process and in a folder of the test's own.

    An exception that would show a traceback to a user escapes and fails the test. Grids are run without the cells that
    evidence adds, unless a test asks for the default (`evidence=True`).
    """
    from medrobust.cli import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MEDROBUST_DATA", raising=False)

    def run(
        command: str, *arguments: object, plugins: tuple[Path, ...] = (TINY, MISBEHAVING), evidence: bool = False
    ) -> Finished:
        monkeypatch.setenv("MEDROBUST_DEBUG", "")  # a command with --debug sets it, one with --strict the other
        monkeypatch.setenv("MEDROBUST_STRICT", "")
        files = [word for file in plugins for word in ("--plugin", str(file))]
        device = ["--device", "cpu", "--workers", "1"] if command in ("run", "verify") else []
        plain = ["--no-evidence"] if command in ("run", "plan") and not evidence else []
        monkeypatch.setattr(sys, "argv", ["medrobust", command, *map(str, arguments), *files, *device, *plain])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        shown = capsys.readouterr()
        code = ended.value.code
        assert code is None or isinstance(code, int)
        return Finished(code or 0, shown.out, shown.err)

    return run


class Environment:
    """A virtual environment of its own with this medrobust in it, where nothing is downloaded.

    Args:
        folder: where it is made.
    """

    def __init__(self, folder: Path) -> None:
        venv.create(folder, with_pip=True)
        python = folder / "bin" / "python"
        (site,) = folder.glob("lib/python*/site-packages")
        # What is installed where the tests run is here too; the setuptools that venv brings are older.
        for old in (
            *site.glob("setuptools*"),
            *site.glob("distutils*"),
            site / "_distutils_hack",
            site / "pkg_resources",
        ):
            shutil.rmtree(old, ignore_errors=True) if old.is_dir() else old.unlink(missing_ok=True)
        places = sorted({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")})
        (site / "shared.pth").write_text("".join(f"import site; site.addsitedir({place!r})\n" for place in places))
        for name, module in {"medrobust": "medrobust.cli", "pytest": "pytest"}.items():
            program = folder / "bin" / name
            run = f'if __name__ == "__main__":\n    sys.exit({module}.main())\n'
            program.write_text(f"#!{python}\nimport sys\n\nimport {module}\n\n{run}")
            program.chmod(0o755)
        pip = {"NO_DEPS": "1", "NO_INDEX": "1", "NO_BUILD_ISOLATION": "0", "DISABLE_PIP_VERSION_CHECK": "1"}
        pip["ROOT_USER_ACTION"] = "ignore"
        self._variables = {
            **{key: value for key, value in os.environ.items() if not key.startswith(("MEDROBUST_", "PYTEST_"))},
            **{f"PIP_{key}": value for key, value in pip.items()},
            "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "MEDROBUST_CACHE": str(folder / "cache"),
            "COLUMNS": "200",
        }

    def run(self, line: str, folder: Path) -> str:
        """Run one line of a shell in a folder, as its user would; what it prints.

        Raises:
            AssertionError: if it ends with another status than 0.
        """
        done = subprocess.run(
            line, shell=True, cwd=folder, env=self._variables, capture_output=True, text=True, timeout=900
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
        return done.stdout


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """A separate environment, for what somebody installs."""
    return Environment(tmp_path_factory.mktemp("environment") / "venv")


@pytest.fixture(scope="session")
def plugin_options() -> list[str]:
    """For programs that are started: load the plugin of pytest by name, where pytest does not find it."""
    return [] if INSTALLED else ["-p", "medrobust.pytest_plugin"]


@pytest.fixture(scope="session")
def _computing(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Import what computing imports before pytester notes which modules there are: torch cannot be imported twice."""
    import medrobust.pytest.items
    import medrobust.pytest.parametrization  # noqa: F401

    session = Session(tmp_path_factory.mktemp("computing") / "store", (TINY,), device="cpu", workers=1)
    table = {"dataset": "textures", "model": "tiny-net", "attack": "sign", "budget": "linf:8/255"}
    session.run(plan := session.plan({"grid": [table]}))
    session.evidence(plan)


@pytest.fixture
def run_pytest(_computing: None, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> RunPytest:
    """Run pytest with the plugin in this process, in the folder of `pytester`."""
    # Where these say that nobody watches, pytest repeats every message whole in its short summary.
    for variable in ("CI", "BUILD_NUMBER"):
        monkeypatch.delenv(variable, raising=False)

    def call(*arguments: str) -> pytest.RunResult:
        # Hypothesis would be imported, and its assertions rewritten, at the end of every run.
        options = ["-p", "no:xdist", "-p", "no:hypothesispytest", "--medrobust-workers=1", "--medrobust-device=cpu"]
        plugins = [] if INSTALLED else [medrobust.pytest_plugin]
        return pytester.runpytest_inprocess(*options, *arguments, plugins=plugins)

    return call
