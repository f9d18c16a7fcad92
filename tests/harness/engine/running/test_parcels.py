"""What a worker must have to run a step; here the worker is another process of this machine."""

from __future__ import annotations

import multiprocessing
import site
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from medrobust.api import Session
from medrobust.engine.running.parcels import Parcel, UnfitWorkerError, about, parcel_of, terms_of, unpacked
from medrobust.engine.steps import CraftStep, History, Step
from medrobust.plugins import local

TESTS = Path(__file__).parents[3]
OWN = '''
from dataclasses import dataclass
from typing import ClassVar
from medrobust import Attack, ThreatModel
from helper import LENGTH


@dataclass(frozen=True)
class Own(Attack):
    """Moves everything."""

    name: ClassVar[str] = "own"
    threat: ClassVar[ThreatModel] = ThreatModel(norms={"linf"})

    def perturb(self, classifier, images, goal, budget, rng):
        return images + LENGTH
'''


@pytest.fixture(scope="module")
def ask() -> Iterator[Callable[..., Any]]:
    """Have a function called in the other process."""
    # The other process imports this module by the name that pytest has given it, from the root.
    context, root = multiprocessing.get_context("spawn"), str(TESTS.parent)
    with ProcessPoolExecutor(1, mp_context=context, initializer=site.addsitedir, initargs=(root,)) as pool:
        yield lambda call, *arguments: pool.submit(call, *arguments).result(timeout=60)


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "helper.py").write_text("LENGTH = 1\n")
    (tmp_path / "plugins" / "own_attack.py").write_text(OWN)
    yield tmp_path / "plugins" / "own_attack.py"
    local.forget(tmp_path / "plugins" / "own_attack.py")


def opened(tmp_path: Path, *files: Path) -> tuple[Session, Step]:
    session = Session(tmp_path / "store", (TESTS / "tiny.py", *files), device="cpu", workers=1)
    session.store.create()
    grid = {"dataset": "textures", "model": "tiny-net", "attack": "own" if files else "sign", "budget": "linf:8/255"}
    steps = session.steps(session.plan({"grid": [grid]}))
    return session, next(step for step in steps if isinstance(step, CraftStep) and step.root is not None)


def described(parcel: Parcel) -> tuple[str, str, tuple[str, ...]]:
    """What the other process makes of a parcel."""
    step, context = unpacked(parcel)
    plugin = step.root  # type: ignore[attr-defined]
    length = float(plugin.perturb(None, 0, None, None, None)) if plugin.name == "own" else 0.0
    return step.describe(), f"{plugin.name} {length}", tuple(map(str, context.plugin_files))


@pytest.mark.long
def test_a_step_arrives_with_its_plugins(ask: Callable[..., Any], tmp_path: Path, own: Path) -> None:
    session, step = opened(tmp_path, own)
    with terms_of(session.context) as terms:
        parcel = parcel_of(step, terms)
        own.parent.rename(tmp_path / "away")  # as on another machine
        words, plugin, files = ask(described, parcel)
        (tmp_path / "away").rename(own.parent)
        assert (words, plugin) == (step.describe(), "own 1.0")
        assert [Path(file).name for file in files] == ["tiny.py", "own_attack.py"]
        assert not Path(files[1]).is_relative_to(tmp_path), "it is read from a folder of the worker's own"
        assert ask(about, terms).keys() == {"python", "torch", "numpy"}
    assert session.store.objects.listing("workers") == []
    # The same file with another neighbour takes the place of the first.
    (own.parent / "helper.py").write_text("LENGTH = 2\n")
    session, step = opened(tmp_path, own)
    with terms_of(session.context) as terms:
        _, plugin, files = ask(described, parcel_of(step, terms))
        assert (plugin, files[1]) == ("own 2.0", str(own)), "what is here as well is loaded in place"


@pytest.mark.long
def test_what_is_wrong_is_named_with_the_worker(ask: Callable[..., Any], tmp_path: Path, own: Path) -> None:
    session, step = opened(tmp_path)
    with terms_of(session.context) as terms:
        parcel = parcel_of(step, terms)
        assert any(what == "attack 'tiny:sign' (tiny local file)" for what, _ in parcel.sources.values())

        def refused(parcel: Parcel) -> str:
            with pytest.raises(UnfitWorkerError, match=r"^worker on \S+ \(process \d+\): ") as error:
                ask(described, parcel)
            return str(error.value)

        other = {name: (what, source + "0") for name, (what, source) in parcel.sources.items()}
        assert "attack 'tiny:sign' (tiny local file) has another source there (r1)" in refused(
            replace(parcel, sources=other)
        )
        nowhere = {"nowhere.at_all:Attack": ("attack 'x' (x 1.0)", "r1")}
        assert "attack 'x' (x 1.0) is not there (ModuleNotFoundError" in refused(replace(parcel, sources=nowhere))
        assert "has other code than here" in refused(replace(parcel, terms=replace(terms, core="another")))
        device = replace(terms.context, device="cuda:99")
        assert "'cuda:99'" in refused(replace(parcel, terms=replace(terms, context=device)))
        elsewhere = replace(terms.context, store=tmp_path / "elsewhere")
        moved = replace(terms, context=elsewhere, shipment=terms.shipment.replace("medrobust-", "medrobust-other-"))
        assert f"the store {tmp_path / 'elsewhere'} is not there, or is another one" in refused(
            replace(parcel, terms=moved)
        )


def test_a_worker_has_places_of_its_own(
    ask: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session, step = opened(tmp_path)
    mine = tmp_path / "data here"
    mine.mkdir()
    monkeypatch.setenv("MEDROBUST_DATA", str(mine))
    monkeypatch.setenv("MEDROBUST_CACHE", str(tmp_path / "cache here"))
    far = replace(session.context, data_root=Path("/nowhere/data"), cache=Path("/nowhere/cache"))
    with terms_of(far, "auto") as terms:
        _, context = unpacked(parcel_of(step, terms))
    assert (context.data_root, context.cache) == (mine, tmp_path / "cache here")
    assert context.device in ("cpu", "cuda")


def test_memory_is_what_such_cells_have_needed(tmp_path: Path) -> None:
    _, step = opened(tmp_path)
    axes = step.cells[0].axes()
    key = (axes["dataset"], axes["model"], axes["attack"])
    assert step.memory(History()) is None
    assert step.memory(History(memory={key: 5, ("other", "x", "y"): 9})) == 5
