"""Nothing that is read runs code: a payload that would leave a file leaves none, and what refuses it says why."""

from __future__ import annotations

import ast
import io
import json
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

import medrobust
from medrobust import DataError, DataSource, MedrobustError, ModelError
from medrobust.api import Store
from medrobust.engine.models.checkpoints import code_in, load_checkpoint
from medrobust.engine.throughput import Throughputs
from medrobust.judging.modules import from_file
from medrobust.results.files import content_hash
from medrobust.results.leases import Lease
from medrobust.results.marker import CONTENT, MARKER
from medrobust_datasets import MedMnist
from medrobust_models.pretrained import read_weights

from .readers.weights import network

HARNESS = Path(medrobust.__file__).parent
ROOT = HARNESS.parents[1]
PACKAGES = (HARNESS, *(ROOT / "plugins").glob("*/medrobust_*"), ROOT / "leaderboard" / "medrobust_leaderboard")
TRUSTED = {
    # With --trust-code only, which the tests below and those of `judge` hold it to.
    ("medrobust/judging/modules.py", "torch.load"),
    ("medrobust/judging/modules.py", "torch.jit.load"),
    # A copy of such a program, from memory.
    ("medrobust/judging/wrapping.py", "torch.jit.load"),
    ("medrobust/judging/modules.py", "torch.export.load"),
    # From the process that plans, over Dask's wire (docs/cluster.md) or a pool of this machine.
    ("medrobust/engine/running/executors.py", "pickle.loads"),
    ("medrobust/engine/running/parcels.py", "pickle.loads"),
    # Hints of an installed library's own functions.
    ("medrobust/contracts/adapted.py", "eval"),
}
"""The places that may run what they are given."""
RUNS = {
    *(
        "pickle.load",
        "pickle.loads",
        "pickle.Unpickler",
        "torch.jit.load",
        "torch.export.load",
        "marshal.loads",
        "eval",
    ),
    *("exec", "shelve.open", "joblib.load", "cloudpickle.loads", "yaml.load", "pd.read_pickle"),
    *("os.system", "os.popen", "torch.hub.load", "dill.loads", "dill.load"),
}


class Payload:
    """What leaves a file behind when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return os.mkdir, (str(self.mark),)


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    return tmp_path / "code-ran"


# What could run code ----------------------------------------------------------------------------------------------


def calls(source: str) -> set[str]:
    """What a module calls that runs what it is given."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        options = {each.arg: ast.unparse(each.value) for each in node.keywords}
        if name in RUNS or (name == "torch.load" and options.get("weights_only") != "True"):
            found.add(name)
        if name in ("np.load", "numpy.load", "np.lib.format.read_array") and options.get("allow_pickle") != "False":
            found.add(name)
    return found


def test_only_known_places_can_run_what_they_read() -> None:
    found = set()
    for package in PACKAGES:
        for file in package.rglob("*.py"):
            place = file.relative_to(package.parent).as_posix()
            found |= {(place, name) for name in calls(file.read_text(encoding="utf-8"))}
    assert found == TRUSTED


@pytest.mark.parametrize(
    "source",
    [
        "torch.load(f)",
        "torch.load(f, weights_only=False)",
        "pickle.loads(b)",
        "np.load(f)",
        "eval(t)",
        "pd.read_pickle(f)",
    ],
)
def test_a_call_that_runs_code_is_found(source: str) -> None:
    assert calls(f"def read(f, b, t):\n    return {source}\n")


# Checkpoints ------------------------------------------------------------------------------------------------------


def saved(content: object, *, new: bool = True, protocol: int = 2) -> bytes:
    packed = io.BytesIO()
    torch.save(content, packed, _use_new_zipfile_serialization=new, pickle_protocol=protocol)
    return packed.getvalue()


def renamed(data: bytes, name: Callable[[str], str]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(packed, "w") as new:
        for each in old.namelist():
            new.writestr(name(each), old.read(each))
    return packed.getvalue()


CHECKPOINTS: dict[str, Callable[[Payload], bytes]] = {
    "the new format": lambda p: saved({"state_dict": network().state_dict(), "x": p}),
    "the old format": lambda p: saved({"state_dict": network().state_dict(), "x": p}, new=False),
    "the new format, a later protocol": lambda p: saved([p], protocol=4),
    "the old format, a later protocol": lambda p: saved([p], protocol=4, new=False),
    "a plain pickle": lambda p: pickle.dumps(p),
    "the first pickle": lambda p: pickle.dumps(p, 0),
    "no folder": lambda p: renamed(saved(p), lambda name: name.split("/", 1)[1]),
    "a folder that leads out": lambda p: renamed(saved(p), lambda name: f"../{name}"),
    "another name of the pickle": lambda p: renamed(saved(p), lambda name: name.replace("data.pkl", "DATA.PKL")),
    "the name of TorchScript's": lambda p: renamed(saved(p), lambda name: name.replace("data.pkl", "constants.pkl")),
    "a pickle before the archive": lambda p: pickle.dumps(p) + saved(p),
    "a pickle after weights": lambda p: saved(network().state_dict(), new=False) + pickle.dumps(p),
}


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("suffix", [".pt", ".pth", ".bin", ".ckpt", ".safetensors"])
@pytest.mark.parametrize("form", CHECKPOINTS)
def test_no_checkpoint_runs_code(form: str, suffix: str, tmp_path: Path, mark: Path) -> None:
    file = tmp_path / f"weights{suffix}"
    file.write_bytes(CHECKPOINTS[form](Payload(mark)))
    code_in(file)
    if form == "a pickle after weights" and suffix != ".safetensors":
        load_checkpoint(network(), file)  # it is never reached
    else:
        with pytest.raises(ModelError, match=r"holds more than weights|not run|cannot be read|holds str|holds list"):
            load_checkpoint(network(), file)
        with pytest.raises(ModelError, match="cannot be read as weights"):
            read_weights(file)
    assert not mark.exists()


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(("new", "protocol"), [(True, 2), (True, 4), (False, 2), (False, 4)])
def test_what_a_pickle_would_call_is_named(new: bool, protocol: int, tmp_path: Path, mark: Path) -> None:
    file = tmp_path / "weights.pt"
    file.write_bytes(saved([Payload(mark)], new=new, protocol=protocol))
    with pytest.raises(ModelError, match=r"holds more than weights: objects of '(posix|nt)\.mkdir'"):
        load_checkpoint(network(), file)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_whole_model_runs_with_consent_only(tmp_path: Path, mark: Path) -> None:
    file = tmp_path / "model.pt"
    file.write_bytes(saved([Payload(mark)]))
    with pytest.raises(ModelError, match=r"It was not opened.*--trust-code opens it all the same"):
        from_file(file)
    assert not mark.exists()
    with pytest.raises(ModelError, match="holds list, not a network"):
        from_file(file, trust_code=True)
    assert mark.exists(), "the payload is none"


# Arrays, tables, notes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["objects", "a structure with objects"])
def test_no_array_runs_code(kind: str, tmp_path: Path, mark: Path) -> None:
    odd: Any = np.array([Payload(mark)], dtype=object)
    if kind != "objects":
        odd = np.array([(1, Payload(mark))], dtype=[("number", int), ("object", object)])
    file = tmp_path / "medmnist" / "pneumoniamnist.npz"
    file.parent.mkdir()
    np.savez(file, train_images=odd, train_labels=odd)
    with pytest.raises(DataError, match=r"train_images\.npy holds Python objects, which are never read"):
        MedMnist().load("train", DataSource(tmp_path))
    assert not mark.exists()


@pytest.mark.parametrize(
    ("field", "table"),
    [
        ({"ARROW:extension:name": "arrow.py_extension_type"}, {}),
        ({"ARROW:extension:name": "mine"}, {}),
        ({}, {"pandas": '{"index_columns": ["cell"], "columns": [{"name": "cell", "numpy_type": "object"}]}'}),
        ({}, {"pandas": "[" * 50_000}),
    ],
)
def test_no_metadata_of_a_table_runs_code(
    field: dict[str, str], table: dict[str, str], tmp_path: Path, mark: Path
) -> None:
    payload = pickle.dumps(Payload(mark))
    about = {**field, "ARROW:extension:metadata": payload} if field else None
    rows = pa.table({"part": ["p"]}, schema=pa.schema([pa.field("part", pa.string(), metadata=about)], metadata=table))
    for name in ("dataset", "fingerprint", "slice", "class", "shared_groups"):
        rows = rows.append_column(name, pa.nulls(1, pa.string()))
    for name in ("images", "groups"):
        rows = rows.append_column(name, pa.nulls(1, pa.int64()))
    sink = io.BytesIO()
    pq.write_table(rows, sink)
    place = tmp_path / "store" / "parts" / f"a.{content_hash(sink.getvalue())}.parquet"
    place.parent.mkdir(parents=True)
    place.write_bytes(sink.getvalue())
    (tmp_path / "store" / MARKER).write_text(CONTENT)
    store = Store(tmp_path / "store")
    assert store.tables.read("parts")["part"].to_pylist() == ["p"]
    assert store.tables.read("parts").schema.metadata is None
    assert not mark.exists()


def test_a_schema_that_is_none_is_damage(tmp_path: Path) -> None:
    sink = io.BytesIO()
    pq.write_table(pa.table({"part": ["p"]}).replace_schema_metadata({"ARROW:schema": "no schema"}), sink)
    place = tmp_path / "parts" / f"a.{content_hash(sink.getvalue())}.parquet"
    place.parent.mkdir()
    place.write_bytes(sink.getvalue())
    (tmp_path / MARKER).write_text(CONTENT)
    store = Store(tmp_path)
    assert not len(store.tables.read("parts"))
    assert store.damaged[0].kept == f"damaged/parts/{place.name}"


DEEP = "[" * 100_000


@pytest.mark.parametrize("text", [DEEP, '{"schema": ' + "9" * 5000 + "}", '{"schema": []}', "3", '{"schema": 1e400}'])
def test_a_marker_with_anything_in_it_is_said_to_be_damaged(text: str, tmp_path: Path) -> None:
    (tmp_path / MARKER).write_text(text)
    with pytest.raises(MedrobustError, match=r"store\.json: is damaged; put back"):
        Store(tmp_path)


OWNER = {"host": "a", "machine": "b", "pid": 1, "started": 0.0, "token": "c"}


@pytest.mark.parametrize(
    "content",
    [
        *(DEEP, "3", "{}", '{"owner": 3}', '{"owner": {}}'),
        *(json.dumps({"owner": {**OWNER, **odd}, "since": "s"}) for odd in ({"pid": "x"}, {"pid": -1}, {"pid": 2**70})),
        json.dumps({"owner": {**OWNER, "started": "now"}, "since": "s"}),
        json.dumps({"owner": OWNER, "since": {"a": 1}}),
    ],
)
def test_a_lease_with_anything_in_it_is_none(content: str) -> None:
    assert Lease.from_json(content.encode()) is None
    assert Lease.from_json(json.dumps({"owner": OWNER, "since": "s"}).encode()) is not None


@pytest.mark.parametrize("content", [DEEP, "3", "{}", "[3]", '[{"key": 3}]', '[{"device": "cpu", "key": "k"}]'])
def test_measured_speeds_with_anything_in_them_are_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "throughput.json").write_text(content)
    if content == "{}":
        content = "an empty table"
    with pytest.raises(MedrobustError, match="delete it and calibrate again"):
        Throughputs(tmp_path / "throughput.json").devices()
