"""A forged record is found, whatever was changed in it."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from medrobust.api import Store, Verification

Row = dict[str, Any]
Change = Callable[[Row], None]
Verify = Callable[..., dict[str, Verification]]
Forge = Callable[[Store, str, str, Change], Store]
Pick = Callable[..., str]
SIGN = {"attack": "sign", "model": "tiny-net"}


def setting(**values: Any) -> Change:
    return lambda row: row.update(values)


def inside(column: str, **values: Any) -> Change:
    """Change fields of JSON in a column."""

    def change(row: Row) -> None:
        row[column] = json.dumps({**json.loads(row[column]), **values})

    return change


def altogether(*changes: Change) -> Change:
    def change(row: Row) -> None:
        for each in changes:
            each(row)

    return change


def nudged(row: Row) -> None:
    if row["sample"] in ("test-3", "test-8"):
        row["logits"] = [x + 0.25 for x in row["logits"]]


FORGED_ROWS: dict[str, tuple[Change, str]] = {
    "budget": (setting(budget="linf:1/255"), "budget is 'linf:1/255' in the store, 'linf:16/255' here"),
    "budget in its definition": (
        altogether(setting(budget="linf:1/255"), inside("definition", budget="linf:1/255")),
        "its definition and its identity disagree: budget linf:pixel01:16/255.* instead of linf:pixel01:1/255",
    ),
    "budget in all but its identity": (
        altogether(
            setting(budget="linf:1/255"),
            inside("definition", budget="linf:1/255"),
            inside("identity", budget="linf:pixel01:1/255:box:pixel01:0"),
        ),
        "its fields give the identity ",
    ),
    "radius": (setting(eps=1 / 255), "eps is 0.0039"),
    "attack": (setting(attack="steps(steps=100)"), r"attack is 'steps\(steps=100\)' in the store, 'sign' here"),
    "model": (setting(model="resnet50"), "model is 'resnet50' in the store, 'tiny-net' here"),
    "seed": (inside("definition", seed=1), "its definition and its identity disagree: target.seed"),
    "weights": (setting(weights=["0" * 20]), "weights is "),
    "clean record": (setting(clean="0" * 20), "clean is "),
    "surrogate": (setting(surrogate_model="vgg16"), "surrogate_model is 'vgg16' in the store, absent here"),
    "verdicts": (setting(draws=8), "draws is 8"),
    "iterations": (setting(iterations=50), "iterations is 50"),
    "status": (setting(status="failed", reason="out of memory"), r"failed \(out of memory\) in the store, ok here"),
    "definition": (setting(definition="{"), "its definition cannot be read"),
    "no definition": (setting(definition=None), "its definition cannot be read"),
    "no identity": (setting(identity="[]"), "its identity cannot be read"),
}


@pytest.mark.parametrize("name", FORGED_ROWS)
def test_a_forged_row_is_found(name: str, ran: Store, verify: Verify, forge: Forge, pick: Pick) -> None:
    change, words = FORGED_ROWS[name]
    cell = pick(ran, **SIGN)
    found = verify(forge(ran, "cells", cell, change), [cell])[cell]
    assert found.outcome == "different"
    assert re.search(words, found.detail), found.detail


@pytest.mark.parametrize("status", ["failed", "invalid"])
def test_a_status_turned_to_ok_is_found(status: str, ran: Store, verify: Verify, forge: Forge, pick: Pick) -> None:
    cell, other = pick(ran, status=status), pick(ran, **SIGN)
    store = forge(ran, "cells", cell, setting(status="ok", reason=""))
    found = verify(store, [cell])[cell]
    assert found.outcome == "different"
    assert found.detail.startswith(f"ok in the store, {status} (")
    # With samples of another cell it is no better.
    forge(store, "samples", other, setting(record=cell))
    forge(store, "cells", cell, setting(samples=cell))
    assert verify(Store(store.path), [cell])[cell].detail == found.detail


def test_a_record_under_another_identity_is_found_by_its_logits(
    ran: Store, verify: Verify, forge: Forge, pick: Pick
) -> None:
    """All that names a cell is that of another one; only its logits are its own."""
    weak, strong = pick(ran, attack="steps(steps=1)", model="tiny-net"), pick(ran, **SIGN)
    own = str(ran.cells(["samples"]).loc[strong, "samples"])
    store = forge(ran, "samples", strong, setting(record="nothing"))
    found = verify(forge(store, "samples", weak, setting(record=own)), [strong])[strong]
    assert found.outcome == "different"


@pytest.mark.long
def test_changed_logits_are_named_with_their_images(ran: Store, verify: Verify, forge: Forge, pick: Pick) -> None:
    cell = pick(ran, **SIGN)
    found = verify(forge(ran, "samples", cell, nudged), [cell])[cell]
    assert (found.outcome, sorted(found.images)) == ("different", ["test-3", "test-8"])
    assert found.detail.startswith("logits differ by up to 0.25, in 2 of 24 images by too much (0 other decisions): ")


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("label", [1], "the label of "),
        ("group", "nobody", "the group of "),
        ("linf", 0.001, "linf differ by up to 0.062"),
        ("l2", 0.001, "l2 differ by up to "),
    ],
)
def test_other_columns_of_samples_count_too(
    column: str, value: Any, words: str, ran: Store, verify: Verify, forge: Forge, pick: Pick
) -> None:
    cell = pick(ran, **SIGN)
    found = verify(forge(ran, "samples", cell, setting(**{column: value})), [cell])[cell]
    assert found.outcome == "different"
    assert found.detail.startswith(words)


def test_a_further_draw_of_a_random_model_is_looked_at(ran: Store, verify: Verify, forge: Forge, pick: Pick) -> None:
    cell = pick(ran, defense="jitter", goal="predicted", attack="steps(steps=3, step_size=eps/2)")

    def last_draw(row: Row) -> None:
        row["more_logits"] = [*row["more_logits"][:-1], row["more_logits"][-1] + 1]

    found = verify(forge(ran, "samples", cell, last_draw), [cell])[cell]
    assert (found.outcome, len(found.images)) == ("different", 24)


def test_lost_samples_are_found(ran: Store, verify: Verify, forge: Forge, pick: Pick) -> None:
    cell = pick(ran, **SIGN)
    found = verify(forge(ran, "samples", cell, setting(record="nothing")), [cell])[cell]
    assert found.outcome == "different"
    assert found.detail.startswith("missing (its samples were in a file that is damaged or gone; ")


def test_swapped_weights_are_found(ran: Store, verify: Verify, forge: Forge, pick: Pick) -> None:
    cell = pick(ran, **SIGN)
    fits = ran.rows("fits").set_index("fit")["weights"]
    own = str(ran.cells(["weights"]).loc[cell, "weights"][0])
    like = [c for f, c in fits.items() if f != own and _shapes(ran, c) == _shapes(ran, fits[own])]
    store = forge(ran, "fits", own, setting(weights=like[0]))
    found = verify(store, [cell])[cell]
    assert found.outcome == "different"
    assert found.detail.startswith("missing (weights or a perturbation ")
    # The record says by itself that other weights were behind it, so that has to be forged as well.
    again = forge(store, "cells", cell, setting(made_from=[f"{own}={like[0]}"]))
    found = verify(again, [cell])[cell]
    assert found.outcome == "different"
    assert found.detail.startswith("logits differ by up to ")


def test_weights_of_no_training_are_found_by_training_anew(
    ran: Store, verify: Verify, forge: Forge, pick: Pick, rerun: Callable[[Store], None]
) -> None:
    """Logits and weights of a record go together, but its recipe makes other weights."""
    cell = pick(ran, attack="none", model="tiny-net", defense="none", dataset="textures", evaluate_on="test")
    own = str(ran.cells(["weights"]).loc[cell, "weights"][0])
    store = forge(ran, "cells", cell, setting(status="failed"))
    store = forge(store, "samples", cell, setting(record="nothing"))
    contrary = store.save_tensors({k: -v if "head" in k else v for k, v in _weights(store, own).items()})
    store = forge(store, "fits", own, setting(weights=contrary))
    rerun(store)
    store = Store(store.path)
    assert verify(store, [cell])[cell].outcome == "equal"
    found = verify(store, [cell], refit=True)[cell]
    assert found.outcome == "different"
    assert re.search(r"accuracy .* % in the store, .* % after training anew: \+\d.* points \[\+", found.detail)


def _weights(store: Store, fit: str) -> dict[str, torch.Tensor]:
    return store.load_tensors(store.fitted()[fit])


def _shapes(store: Store, content: str) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in store.load_tensors(content).items()}


def test_weights_that_do_not_match_their_hash_are_not_run(
    ran: Store, verify: Verify, pick: Pick, tmp_path: Path
) -> None:
    shutil.copytree(ran.path, tmp_path / "forged")
    store, cell = Store(tmp_path / "forged"), pick(ran, **SIGN)
    content = store.fitted()[ran.cells(["weights"]).loc[cell, "weights"][0]]
    other = next(c for c in store.fitted().values() if c != content)
    files = {each: store.path / "tensors" / f"{each}.safetensors" for each in (content, other)}
    shutil.copy(files[other], files[content])
    found = verify(store, [cell])[cell]
    assert found.outcome == "not run"
    assert "damaged" in found.detail
    assert not files[content].exists()
    (gone,) = verify(Store(store.path), [cell]).values()
    assert gone.outcome == "not run"


def test_a_swapped_perturbation_is_found(ran: Store, verify: Verify, forge: Forge, pick: Pick) -> None:
    cell = pick(ran, attack="one-for-all", model="tiny-net", budget="linf:16/255", goal="untargeted")
    own = str(ran.cells(["perturbation"]).loc[cell, "perturbation"])
    rows = ran.rows("artifacts").set_index("artifact")["content"]
    like = [c for a, c in rows.items() if a != own and c != rows[own] and _shapes(ran, c) == _shapes(ran, rows[own])]
    found = verify(forge(ran, "artifacts", own, setting(content=like[0])), [cell])[cell]
    assert found.outcome == "different"
    store = forge(ran, "artifacts", own, setting(artifact="nothing"))
    (gone,) = verify(store, [cell]).values()
    assert gone.outcome == "not run"
    assert gone.detail.endswith(f"artifact {own} is not there; run the grid again to compute it anew")
