"""The golden record: logits of a small fixed grid, so that no behaviour changes without a new revision.

The comparison has to be blind to the processor and to see a change of behaviour. Measured over six seeds and all
evaluated images, with the processor's own instructions (AVX-512) and with the set lowered to SSE 4.1: the logits of
every cell, training included, differ by 1e-6 at most, a hundredth of the tolerance. Small changes of behaviour (steps
1 % longer, other draws, another slice, another order of training images) move some logit by five times the tolerance
or more, which the tests below check; crafting in bfloat16 instead of float32 moves them by up to 0.008.

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
import torch

from medrobust import Length, SampleRNG
from medrobust.api import Record, Session, Store
from medrobust.grid import slices
from medrobust.grid.identity import REVISIONS

pytestmark = pytest.mark.numerical

GOLDEN = Path(__file__).with_name("golden.json")
TINY = Path(__file__).parents[1] / "tiny.py"
IMAGES = 4
TOLERANCE = 1e-4
GRID = """
[define]
quick = { name = "tiny-net", recipe = { epochs = 6, batch_size = 16, learning_rate = 0.02, augment = ["hflip"] } }

[[grid]]
dataset = { name = "textures", size = 10, channels = 3 }
train_set = "train[:75%]"
model = "@quick"
attack = ["sign", { name = "steps", steps = [1, 3] }, "hum", { name = "halved", of = "steps" }, "one-for-all"]
budget = "linf:24/255"
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

[[grid]]
dataset = { name = "textures", size = 10, channels = 3 }
train_set = "train[:75%]"
model = "@quick"
attack = "sign"
budget = "linf:24/255"
evaluate_on = "test[25%:]"
detector = { name = "distance", source = { name = "steps", steps = 2 }, fit_on = "test[:60%]" }
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
            **scores_of(record),
        }
        for cell, record in store.records(list(plan.cells))
    }
    return {"revisions": dict(REVISIONS), "cells": dict(sorted(logits.items()))}


def scores_of(record: Record) -> dict[str, Any]:
    """The scores of a detector of the first images that have some, clean and adversarial."""
    if record.scores is None or record.clean_scores is None:
        return {}
    pairs = np.stack([record.clean_scores, record.scores], axis=1)
    return {"scores": pairs[np.isfinite(record.scores)][:IMAGES].round(6).tolist()}


def differ(old: dict[str, Any], new: dict[str, Any], tolerance: float = TOLERANCE) -> bool:
    """Whether two records of a cell hold other images, or logits that are further apart than the tolerance."""
    if old["images"] != new["images"] or len(old.get("scores", ())) != len(new.get("scores", ())):
        return True
    pairs = [(old[name], new[name]) for name in ("logits", "scores") if name in old]
    return not all(np.allclose(first, second, atol=tolerance, rtol=0) for first, second in pairs)


def complaint(golden: Golden, now: Golden) -> str | None:
    """What to do about a difference between the committed record and what the code does now, or None."""
    old, new = golden["cells"], now["cells"]
    if old.keys() != new.keys():
        return f"the cells are others ({sorted(old.keys() ^ new.keys())}); write the record anew"
    changed = [name for name in old if differ(old[name], new[name])]
    raised = sorted(k for k in now["revisions"] if now["revisions"][k] != golden["revisions"].get(k))
    anew = f"then write the record anew: python {Path(__file__).name}"
    if changed and not raised:
        clean = any(name.startswith("clean") for name in changed)
        steps = "'slice', 'fit' or 'defense'" if clean else "'craft'"
        steps = "'detect'" if all("detected by" in name for name in changed) else steps
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
    for part in (
        "clean",
        "sign",
        "steps(steps=1)",
        "hum",
        "halved",
        "one-for-all",
        "drilled",
        "blur",
        "crafted on",
        "detected by",
    ):
        assert part in names
    assert set(now["revisions"]) == {"slice", "fit", "defense", "universal", "craft", "probe", "detect"}


def test_a_change_without_a_revision_is_found(now: Golden) -> None:
    assert complaint(now, now) is None
    changed = json.loads(json.dumps(now))
    detected = next(n for n in changed["cells"] if "detected by" in n)
    changed["cells"][detected]["scores"][0][1] += 3e-4
    assert "raise the revision of 'detect'" in (complaint(now, changed) or "")
    changed["cells"][detected]["scores"][0][1] -= 3e-4
    name = next(n for n in changed["cells"] if n.startswith("sign") and n != detected)
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


def longer_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    exact = Length.resolve
    monkeypatch.setattr(Length, "resolve", lambda *a, **k: 1.01 * exact(*a, **k))


def later_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = SampleRNG.for_ids

    def drawn_once(*arguments: Any) -> SampleRNG:
        rng = begun(*arguments)
        rng.uniform((1,))
        return rng

    monkeypatch.setattr(SampleRNG, "for_ids", drawn_once)


def another_permutation(monkeypatch: pytest.MonkeyPatch) -> None:
    arranged = slices._arrange
    monkeypatch.setattr(slices, "_arrange", lambda names, sizes, strata, seed: arranged(names, sizes, strata, seed + 1))


def another_order_of_training(monkeypatch: pytest.MonkeyPatch) -> None:
    shuffled = torch.randperm
    monkeypatch.setattr(torch, "randperm", lambda *a, **k: shuffled(*a, **k).flip(0))


@pytest.mark.parametrize(
    ("change", "cells", "revision"),
    [
        (longer_steps, ["halved", "steps(steps=1)", "steps(steps=3)"], "'craft'"),
        (later_draws, ["halved", "hum linf", "steps(steps=1)", "steps(steps=3)"], "'craft'"),
        (another_permutation, ["clean", "sign"], "'slice', 'fit' or 'defense'"),
        (another_order_of_training, ["clean", "sign"], "'slice', 'fit' or 'defense'"),
    ],
    ids=["steps 1 % longer", "other draws", "another slice", "another order of training images"],
)
def test_a_small_change_of_behaviour_is_found(
    now: Golden, change: Any, cells: list[str], revision: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    change(monkeypatch)
    then = current(tmp_path)
    found = complaint(now, then) or ""
    assert found.startswith("behaviour changed in ")
    assert revision in found
    for name in cells:
        assert any(differ(now["cells"][n], then["cells"][n], 5 * TOLERANCE) for n in now["cells"] if n.startswith(name))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        GOLDEN.write_text(json.dumps(current(Path(folder)), indent=1) + "\n")
    print(f"Written: {GOLDEN}")
