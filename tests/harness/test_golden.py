"""The golden record: logits of a small fixed grid, so that no behaviour changes without a new revision.

After a wanted change, raise the revision in medrobust/grid/identity.py and write the record anew:

    python tests/harness/test_golden.py
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medrobust import Session, Store
from medrobust.grid.identity import REVISIONS

GOLDEN = Path(__file__).with_name("golden.json")
TINY = Path(__file__).parents[1] / "tiny.py"
IMAGES = 4
TOLERANCE = 1e-4
GRID = """
[define]
quick = { name = "tiny-net", recipe = { epochs = 2, batch_size = 16, learning_rate = 0.02, augment = ["hflip"] } }

[[grid]]
dataset = { name = "textures", size = 10, channels = 3 }
train_set = "train[:75%]"
model = "@quick"
attack = ["sign", { name = "steps", steps = [1, 3] }, "hum", { name = "halved", of = "steps" }, "one-for-all"]
budget = "linf:12/255"
evaluate_on = "test[25%:]"

[[grid]]
dataset = { name = "textures", size = 10, channels = 3 }
train_set = "train[:75%]"
model = "@quick"
defense = [{ name = "drilled", rounds = 2 }, "blur"]
attack = "hum"
budget = "l2:zeta=4%"
goal = "predicted"
surrogate = { train_set = "train[75%:]", instance = "other" }
evaluate_on = "test[25%:]"
split_seed = 3
"""

Golden = dict[str, Any]


def current(folder: Path) -> Golden:
    """What the grid gives now: the revisions, and the logits of the first images of every cell by its description."""
    (folder / "grid.toml").write_text(GRID)
    session = Session(folder / "store", (TINY,), cache=folder / "cache", device="cpu", workers=1)
    plan = session.plan(folder / "grid.toml")
    assert session.run(plan).complete
    store = Store(folder / "store")
    logits = {
        plan.cells[cell].describe(): {
            "images": record.ids[:IMAGES].tolist(),
            "logits": record.adversarial[:IMAGES].astype(float).round(6).tolist(),
        }
        for cell, record in store.records(list(plan.cells))
    }
    return {"revisions": dict(REVISIONS), "cells": dict(sorted(logits.items()))}


def complaint(golden: Golden, now: Golden) -> str | None:
    """What to do about a difference between the committed record and what the code does now, or None."""
    old, new = golden["cells"], now["cells"]
    if old.keys() != new.keys():
        return f"the cells are others ({sorted(old.keys() ^ new.keys())}); write the record anew"
    changed = [
        name
        for name in old
        if old[name]["images"] != new[name]["images"]
        or not np.allclose(old[name]["logits"], new[name]["logits"], atol=TOLERANCE, rtol=0)
    ]
    raised = sorted(k for k in now["revisions"] if now["revisions"][k] != golden["revisions"].get(k))
    anew = f"then write the record anew: python {Path(__file__).name}"
    if changed and not raised:
        clean = any(name.startswith("clean") for name in changed)
        steps = "'slice', 'fit' or 'defense'" if clean else "'craft'"
        return (
            f"behaviour changed in {len(changed)} of {len(old)} cells, first in '{changed[0]}': raise the revision of "
            f"{steps} in medrobust/grid/identity.py, {anew}"
        )
    return f"the revision of {', '.join(raised)} was raised; {anew}" if raised else None


@pytest.fixture(scope="module")
def now(tmp_path_factory: pytest.TempPathFactory) -> Golden:
    return current(tmp_path_factory.mktemp("golden"))


def test_behaviour_changes_only_with_a_new_revision(now: Golden) -> None:
    message = complaint(json.loads(GOLDEN.read_text()), now)
    assert message is None, message


def test_the_grid_covers_every_step_of_the_core(now: Golden) -> None:
    names = " ".join(now["cells"])
    for part in ("clean", "sign", "steps(steps=1)", "hum", "halved", "one-for-all", "drilled", "blur", "crafted on"):
        assert part in names
    assert set(now["revisions"]) == {"slice", "fit", "defense", "craft", "probe"}


def test_a_change_without_a_revision_is_found(now: Golden) -> None:
    assert complaint(now, now) is None
    changed = json.loads(json.dumps(now))
    name = next(n for n in changed["cells"] if n.startswith("sign"))
    changed["cells"][name]["logits"][0][0] += 3e-4
    found = complaint(now, changed)
    assert found is not None
    assert "raise the revision of 'craft'" in found
    changed["revisions"]["craft"] += 1
    assert (complaint(now, changed) or "").startswith("the revision of craft was raised; then write the record anew")
    changed["cells"][name]["logits"][0][0] -= 3e-4 - 5e-5
    changed["revisions"]["craft"] -= 1
    assert complaint(now, changed) is None
    clean = next(n for n in changed["cells"] if n.startswith("clean"))
    changed["cells"][clean]["images"][0] = "another"
    assert "raise the revision of 'slice', 'fit' or 'defense'" in (complaint(now, changed) or "")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        GOLDEN.write_text(json.dumps(current(Path(folder)), indent=1) + "\n")
    print(f"Written: {GOLDEN}")
