"""The commands `submit`, and `verify` of what it wrote: what is told to others, and what is not."""

from __future__ import annotations

import json
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from medrobust.api import Store
from medrobust.results.schema import TABLES

Program = Callable[..., Any]
GRID = """
[[grid]]
dataset = "textures"
model = "tiny-net"
attack = ["sign", { name = "steps", steps = [1, 4] }]
budget = "linf:8/255"
probe = ["examples"]
"""


def texts(archive: Path, folder: Path) -> list[str]:
    """Every text in an archive: names of files, cells of its tables, the rest as bytes."""
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(folder)
        names = opened.namelist()
    store = Store(folder / "store")
    found = [*names, (folder / "submission.json").read_text()]
    for table in TABLES:
        for file in store.tables.names(table):
            found += [str(row) for row in store.tables.read_file(table, file).to_pylist()]
    return found


@pytest.fixture
def ran(program: Program, tmp_path: Path) -> Program:
    """The program, after a run of four cells with example images."""
    (tmp_path / "grid.toml").write_text(GRID)
    assert program("run", "grid.toml").status == 0
    return program


def test_a_submission_says_what_is_in_it_and_is_verified(ran: Program, tmp_path: Path) -> None:
    told = ran("submit", "medrobust-store", "--out", "mine.zip")
    assert told.status == 0, told
    assert "Wrote mine.zip: 4 cells, 1 set of weights, 0 perturbations; " in told.out
    assert "Source of plugins: tiny local file, as it is" in told.out
    assert "Ids of samples and patients: hashes, with a salt that is kept nowhere." in told.out
    assert "Images: none; 3 probes left out (--with-images adds those that may be shown)." in told.out
    assert told.out.endswith("Next: medrobust verify mine.zip\n")
    checked = ran("verify", "mine.zip", "--seed", 1)
    assert checked.status == 0, checked
    assert "4 of 4 cells drawn with --seed 1: 4 equal." in checked.out
    assert "Next: medrobust merge BOARD mine.zip --out NEW-BOARD" in checked.out
    facts = json.loads(ran("verify", "mine.zip", "--sample", 2, "--json").out)
    assert facts["outcomes"] == {"equal": 2}
    assert (facts["ids"], facts["source"], facts["candidates"]) == ("hashed", "packed", 4)


@pytest.mark.long
def test_without_the_plugins_nothing_is_run_and_the_status_says_so(ran: Program) -> None:
    ran("submit", "medrobust-store", "--out", "mine.zip")
    told = ran("verify", "mine.zip", plugins=())
    assert told.status == 3, told
    assert "cells cannot be verified without the plugin tiny:tiny-net, whose source is in the archive" in told.out
    assert "Next: medrobust verify mine.zip --trust-code --sample 5 --seed " in told.out
    ran("submit", "medrobust-store", "--out", "closed.zip", "--no-source")
    told = ran("verify", "closed.zip", plugins=())
    assert told.status == 3
    assert "whose source is withheld: a board calls them not verifiable" in told.out
    assert ran("verify", "closed.zip").status == 0


@pytest.mark.long
def test_ids_of_samples_and_patients_are_told_on_request_only(ran: Program, tmp_path: Path) -> None:
    store = Store(tmp_path / "medrobust-store")
    samples = dict(store.samples(store.cells(["cell"])["cell"]))
    one = next(iter(samples.values()))
    assert one.groups is not None
    names = {repr(name) for name in (*one.ids.tolist(), *one.groups.tolist())}
    ran("submit", "medrobust-store", "--out", "mine.zip", "--with-images")
    hidden = "\n".join(texts(tmp_path / "mine.zip", tmp_path / "hidden"))
    assert not [name for name in names if name in hidden]
    ran("submit", "medrobust-store", "--out", "open.zip", "--with-ids")
    shown = "\n".join(texts(tmp_path / "open.zip", tmp_path / "shown"))
    assert all(name in shown for name in names)
    assert ran("verify", "open.zip").status == 0
    # Two submissions of one store have no id in common.
    ran("submit", "medrobust-store", "--out", "again.zip")
    texts(tmp_path / "again.zip", tmp_path / "again")
    ids = [set(next(Store(tmp_path / p / "store").samples(samples))[1].ids) for p in ("hidden", "again")]
    assert len(ids[0]) == len(ids[1]) == len(one.ids)
    assert not ids[0] & ids[1]


def test_images_are_shown_on_request_and_where_their_data_set_permits_it(ran: Program, tmp_path: Path) -> None:
    told = ran("submit", "medrobust-store", "--out", "open.zip", "--with-images")
    assert "Images: 3 probes with images." in told.out
    texts(tmp_path / "open.zip", tmp_path / "open")
    store = Store(tmp_path / "open" / "store")
    assert len(store.artifacts()) == 3
    plain = {str(name) for _, samples in store.samples(store.cells(["cell"])["cell"]) for name in samples.ids}
    assert all(set(json.loads(d)["samples"]) <= plain for d in store.rows("artifacts")["description"])
    # The declaration of the data set decides: where its plugin is not there, nothing is shown.
    told = ran("submit", "medrobust-store", "--out", "closed.zip", "--with-images", "--no-source", plugins=())
    assert "Images: none; 3 probes left out (their data sets do not permit it)." in told.out
    texts(tmp_path / "closed.zip", tmp_path / "closed")
    assert not Store(tmp_path / "closed" / "store").artifacts()


@pytest.mark.long
def test_local_paths_and_file_names_are_not_told(program: Program, tmp_path: Path) -> None:
    pytest.importorskip("medrobust_datasets")
    folder = tmp_path / "scans of anna"
    draw = np.random.default_rng(0)
    for split in ("train", "test"):
        for label, brightness in (("ill", 60), ("well", 160)):
            (folder / split / label).mkdir(parents=True)
            for number in range(6):
                pixels = draw.integers(brightness, brightness + 60, (8, 8), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / split / label / f"patient-{split}-{label}-{number}.png")
    dataset = f'{{ name = "image-folder", path = "{folder}", size = 8, channels = 1 }}'
    (tmp_path / "grid.toml").write_text(GRID.replace('"textures"', dataset))
    told = program("run", "grid.toml")
    assert told.status == 0, told
    told = program("submit", "medrobust-store", "--out", "mine.zip", "--with-images")
    assert told.status == 0, told
    assert "Images: none; 3 probes left out (their data sets do not permit it)." in told.out
    found = "\n".join(texts(tmp_path / "mine.zip", tmp_path / "open"))
    assert "ill" in found  # the name of a class is no secret
    for word in ("anna", "patient-", ".png", str(tmp_path), tmp_path.name, "--plugin"):
        assert word not in found, word
    # What rests on such a folder can be run by nobody else, and does not count as forged.
    told = program("verify", "mine.zip")
    assert told.status == 3, told
    assert "different" not in told.out
    assert "it rests on a local path, which its submission withholds" in told.out


@pytest.mark.long
def test_a_checkpoint_is_called_by_its_name_and_verified_without_its_file(program: Program, tmp_path: Path) -> None:
    folder = tmp_path / "weights of anna"
    folder.mkdir()
    (tmp_path / "grid.toml").write_text(GRID)
    assert program("run", "grid.toml", "--store", "first").status == 0
    (trained,) = (tmp_path / "first" / "tensors").glob(f"{next(iter(Store(tmp_path / 'first').fitted().values()))}*")
    checkpoint = folder / "net.safetensors"
    checkpoint.write_bytes(trained.read_bytes())
    model = f'{{ name = "tiny-net", init = "{checkpoint}", recipe = {{ epochs = 0 }} }}'
    (tmp_path / "grid.toml").write_text(GRID.replace('"tiny-net"', model).replace('"sign"', '"sign", "one-for-all"'))
    told = program("run", "grid.toml")
    assert told.status == 0, told
    assert program("submit", "medrobust-store", "--out", "mine.zip").status == 0
    found = "\n".join(texts(tmp_path / "mine.zip", tmp_path / "open"))
    assert "net.safetensors" in found
    assert "anna" not in found
    assert str(tmp_path) not in found
    checkpoint.unlink()
    told = program("verify", "mine.zip")
    assert told.status == 0, told
    assert "5 of 5 cells drawn" in told.out


@pytest.mark.long
def test_cells_are_chosen_by_their_names(ran: Program, tmp_path: Path) -> None:
    told = ran("submit", "medrobust-store", "--out", "s.zip", "--where", "attack=steps*,budget=linf:8/255")
    assert "3 cells" in told.out  # with the clean record
    told = ran("submit", "medrobust-store", "--out", "s.zip", "--where", "attack=steps(steps=1)", "--json")
    assert json.loads(told.out)["cells"] == 2
    # Brackets stand for themselves, as in the names of slices.
    assert "no current results" in ran("submit", "medrobust-store", "--out", "s.zip", "--where", "attack=[rst]*").err
    for where, why in (
        ("attack=pgd*", "holds no current results that fit"),
        ("atack=pgd", "'atack' is not an axis; did you mean 'attack'?"),
        ("pgd", "write AXIS=LABEL"),
    ):
        told = ran("submit", "medrobust-store", "--out", "s.zip", "--where", where)
        assert told.status == 1
        assert why in told.err


def test_what_is_missing_is_said(ran: Program) -> None:
    told = ran("submit", "medrobust-store", "--out", "mine.zip", plugins=())
    assert told.status == 1
    assert "tiny:tiny-net is not here: give --plugin FILE" in told.err.replace("tiny:textures, ", "")
    assert "the name of a submission ends in .zip" in ran("submit", "medrobust-store", "--out", "mine").err
    assert "is not a store" in ran("submit", "nothing", "--out", "mine.zip").err
    assert "--trust-code is for submissions" in ran("verify", "medrobust-store", "--trust-code").err


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A distribution of a stranger, installed in a folder of its own, with an attack in a package."""
    site = tmp_path / "site"
    package = site / "strange_attacks"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(
        "from medrobust import hookimpl\nfrom .inner import Strange\n\n\n"
        "@hookimpl\ndef medrobust_attacks():\n    return [Strange]\n"
    )
    (package / "inner.py").write_text(
        "from dataclasses import dataclass\nfrom typing import ClassVar\n\n"
        "from medrobust import Attack, ThreatModel\n\n\n@dataclass(frozen=True)\nclass Strange(Attack):\n"
        '    name: ClassVar[str] = "strange"\n'
        '    threat: ClassVar[ThreatModel] = ThreatModel(norms={"linf"}, knowledge="none")\n\n'
        "    def perturb(self, classifier, images, goal, budget, rng):\n"
        "        return (images + budget.eps).clamp(0, 1)\n"
    )
    about = site / "strange_attacks-1.2.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: strange-attacks\nVersion: 1.2\n")
    (about / "entry_points.txt").write_text("[medrobust]\nstrange = strange_attacks\n")
    (about / "top_level.txt").write_text("strange_attacks\n")
    (about / "RECORD").write_text("strange_attacks/__init__.py,,\nstrange_attacks/inner.py,,\n")
    monkeypatch.syspath_prepend(str(site))
    yield site
    _forget()


def _forget() -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "strange_attacks"]:
        del sys.modules[name]


@pytest.mark.long
def test_an_installed_distribution_is_packed_and_found_again(
    installed: Path, program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "grid.toml").write_text(GRID.replace('["sign", { name = "steps", steps = [1, 4] }]', '"strange"'))
    assert program("run", "grid.toml").status == 0
    told = program("submit", "medrobust-store", "--out", "mine.zip")
    assert "Source of plugins: strange-attacks 1.2, tiny local file" in told.out, told
    names = zipfile.ZipFile(tmp_path / "mine.zip").namelist()
    inside = [name.removeprefix("source/strange-attacks/") for name in names if "strange-attacks/" in name]
    assert {"strange_attacks/__init__.py", "strange_attacks/inner.py"} < set(inside)
    assert "strange_attacks-1.2.dist-info/entry_points.txt" in inside
    # Somewhere else, where it is not installed.
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry != str(installed)])
    _forget()
    told = program("verify", "mine.zip")
    assert told.status == 3
    assert "1 cell cannot be verified without the plugin strange-attacks:strange" in told.out
    told = program("verify", "mine.zip", "--trust-code")
    assert told.status == 0, told
    assert "Code from the archive was run: strange-attacks, tiny." in told.out
    assert "2 of 2 cells drawn" in told.out
