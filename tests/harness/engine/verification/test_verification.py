"""Records are run again from their rows alone: here, elsewhere, and with weights of their own."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from medrobust import Shape
from medrobust.api import Session, Store, Verification, draw_cells, parse_grid, verify_cells

Row = dict[str, Any]
Change = Callable[[Row], None]
Open = Callable[..., Session]
Verify = Callable[..., dict[str, Verification]]
Forge = Callable[[Store, str, str, Change], Store]
Pick = Callable[..., str]
SIGN = {"attack": "sign", "model": "tiny-net"}


def test_every_record_comes_out_equal(ran: Store, verify: Verify) -> None:
    before = sorted((f, f.stat().st_mtime_ns) for f in ran.path.rglob("*"))
    found = verify(ran)
    assert {e.cell: (e.what, e.detail) for e in found.values() if e.outcome != "equal"} == {}
    assert len(found) > 50
    details = [e.detail for e in found.values() if e.detail]
    assert sorted(details) == ["failed here too", "invalid here too"]
    # Nothing was written to the store.
    assert sorted((f, f.stat().st_mtime_ns) for f in ran.path.rglob("*")) == before


@pytest.mark.long
def test_trained_anew_every_record_comes_out_equal_on_one_machine(ran: Store, verify: Verify) -> None:
    found = verify(ran, refit=True)
    assert {e.what: e.detail for e in found.values() if e.outcome != "equal"} == {}


def test_cells_are_drawn_among_those_that_tables_show(ran: Store) -> None:
    everything = set(ran.cells(["cell"])["cell"])
    assert set(draw_cells(ran, 10_000, 0)) == everything
    assert len(draw_cells(ran, 4, 0)) == 4
    assert draw_cells(ran, 4, 7) == draw_cells(ran, 4, 7)
    assert len({tuple(draw_cells(ran, 4, seed)) for seed in range(10)}) > 5


# Elsewhere -----------------------------------------------------------------------------------------------------------


@pytest.mark.long
def test_rounding_on_another_machine_is_no_difference(ran: Store, verify: Verify, forge: Forge, pick: Pick) -> None:
    cell = pick(ran, **SIGN)
    versions = json.loads(ran.cells(["versions"]).loc[cell, "versions"])
    made = {"versions": json.dumps({**versions, "torch": "0.9"}), "hardware": "Abacus, SSE", "batch_size": 5}
    store = forge(ran, "cells", cell, lambda row: row.update(made))
    assert verify(store, [cell])[cell].remark == ""  # equal bit by bit all the same

    def rounded(row: Row) -> None:
        row["logits"] = [float(np.float32(x) + np.float32(1e-5)) for x in row["logits"]]

    store = forge(store, "samples", cell, rounded)
    (found,) = verify(store, [cell]).values()
    assert found.outcome == "rounding"
    assert found.detail.startswith("logits differ by up to 1e-05")
    assert found.remark.startswith("made with torch 0.9 (here ")
    assert "Abacus, SSE (here " in found.remark
    assert "batches of 5 (here " in found.remark


def test_a_plugin_that_is_not_here_is_named(ran: Store, verify: Verify, pick: Pick) -> None:
    cell = pick(ran, attack="batched", model="tiny-net")
    found = verify(ran, [cell], files=())[cell]
    assert found.outcome == "not run"
    assert found.detail.startswith("no attack is called 'batched_plugin:batched'")


def test_a_source_that_has_changed_is_named(
    ran: Store, verify: Verify, pick: Pick, batched: Path, tmp_path: Path
) -> None:
    file = tmp_path / "batched_plugin.py"
    file.write_text(batched.read_text().replace("share *", "0.5 * share *"))
    cell = pick(ran, attack="batched", model="tiny-net")
    found = verify(ran, [cell], files=(file,))[cell]
    assert (found.outcome, found.detail) == ("not run", "other source of attack 'batched'")


def test_a_network_in_memory_has_to_be_handed_in_again(
    pick: Pick, opened: Open, verify: Verify, tmp_path: Path
) -> None:
    session = opened(tmp_path / "store")
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 2))
    session.add_model("mine", network, shape=(1, 8, 8))
    table = {"dataset": "textures", "model": "memory:mine", "attack": "sign", "budget": "linf:8/255"}
    assert session.run(session.plan({"grid": [table]})).complete
    cell = pick(session.store, attack="sign")
    found = verify(session.store, [cell])[cell]
    assert found.outcome == "not run"
    assert found.detail.startswith("model 'memory:mine' was handed in by a program, which has to hand it in again")
    handed_in = opened(tmp_path / "handed in")
    handed_in.add_model("mine", network, shape=(1, 8, 8))
    assert [each.outcome for each in verify_cells(session.store, [cell], handed_in)] == ["equal"]


def test_data_that_is_not_here_is_named(ran: Store, verify: Verify, forge: Forge, pick: Pick) -> None:
    cell = pick(ran, **SIGN)

    def elsewhere(row: Row) -> None:
        row["definition"] = json.dumps({**json.loads(row["definition"]), "dataset": {"name": "tiny:ward"}})

    found = verify(forge(ran, "cells", cell, elsewhere), [cell])[cell]
    assert found.outcome == "not run"
    assert "the ward's images is" in found.detail


def test_a_checkpoint_that_is_not_here_is_believed(verify: Verify, pick: Pick, opened: Open, tmp_path: Path) -> None:
    session, file = opened(tmp_path / "store"), tmp_path / "net.safetensors"
    net: Any = session.registry.find("model", "tiny-net").plugin()
    save_file(net.build(Shape(1, 8, 8, 2)).state_dict(), file)
    text = f"""
    [[grid]]
    dataset = "textures"
    model = {{ name = "tiny-net", init = "{file}", recipe = {{ epochs = 0 }} }}
    attack = "sign"
    budget = "linf:8/255"
    """
    assert session.run(session.plan(parse_grid(tomllib.loads(text), session.registry))).complete
    cell = pick(session.store, attack="sign")
    assert verify(session.store, [cell])[cell].outcome == "equal"
    file.unlink()
    assert verify(session.store, [cell])[cell].outcome == "equal"
    found = verify(session.store, [cell], refit=True)[cell]
    assert (found.outcome, found.detail) == ("not run", f"{file} cannot be found, from which training starts")


# Other weights -------------------------------------------------------------------------------------------------------


def test_other_weights_are_compared_by_interval(ran: Store, verify: Verify, forge: Forge, pick: Pick) -> None:
    """As of a training that went a little differently: other logits, and a decision or none."""
    cell = pick(ran, **SIGN)

    def hardly(row: Row) -> None:
        row["logits"] = [1.01 * x for x in row["logits"]]

    found = verify(forge(ran, "samples", cell, hardly), [cell], refit=True)[cell]
    assert found.outcome == "interval"
    assert found.detail.startswith("accuracy ")
    assert "after training anew: +0.0 points [" in found.detail


def test_targets_and_images_without_labels_have_rates_of_their_own(
    ran: Store, verify: Verify, forge: Forge, pick: Pick
) -> None:
    targeted = pick(ran, goal="target:c", defense="blur")
    unlabelled = pick(ran, evaluate_on="test", attack="steps", train_set="train[:50%]")

    def hardly(row: Row) -> None:
        row["logits"] = [1.01 * x for x in row["logits"]]

    store = ran
    for cell in (targeted, unlabelled):
        store = forge(store, "samples", cell, hardly)
    found = verify(store, [targeted, unlabelled], refit=True)
    assert found[targeted].detail.startswith("targeted_success ")
    assert found[unlabelled].detail.startswith("fooling_rate ")
