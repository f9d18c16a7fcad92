"""Names and slots of cells."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from medrobust.api import Session
from medrobust.grid.cells import Cell

MakeSession = Callable[..., Any]


def planned(session: Session, folder: Path, init: str, *, more: str = "", alias: str = "") -> list[Cell]:
    model = f'{{ name = "tiny-net", init = "{init}", recipe = {{ epochs = 0 }} }}'
    text = f"[define]\n{alias} = {model}\n" if alias else ""
    used = f'"@{alias}"' if alias else model
    file = folder / "grid.toml"
    text += (
        f'[[grid]]\ndataset = "textures"\nmodel = {used}\nattack = ["none", "sign"]\nbudget = "linf:8/255"\n{more}\n'
    )
    file.write_text(text)
    plan = session.plan(file)
    labels = {e.row()["model"] for e in plan.entries}
    assert all(str(folder) not in label for label in labels), labels
    return list(plan.cells.values())


def weights(folder: Path, value: float) -> Path:
    folder.mkdir(exist_ok=True)
    file = folder / "net.safetensors"
    shapes = {"convolution.weight": (4, 1, 3, 3), "convolution.bias": (4,), "head.weight": (2, 16), "head.bias": (2,)}
    save_file({name: torch.full(shape, value) for name, shape in shapes.items()}, file)
    return file


def test_a_checkpoint_is_called_by_file_name_and_content(session: MakeSession, tmp_path: Path) -> None:
    made = session()
    file = weights(tmp_path / "a", 1.0)
    clean, attacked = planned(made, tmp_path, str(file))
    name = clean.axes()["model"]
    digest = clean.target.model_fields["checkpoint"]
    assert name == f"tiny-net(init=net.safetensors#{digest[:6]}, recipe=(epochs=0))"
    assert str(tmp_path) not in attacked.describe()
    weights(tmp_path / "a", 2.0)
    assert planned(session(), tmp_path, str(file))[0].axes()["model"] != name


def test_a_grid_can_call_a_checkpoint_what_it_likes(session: MakeSession, tmp_path: Path) -> None:
    file = weights(tmp_path / "a", 1.0)
    made = session()
    cells = planned(made, tmp_path, str(file), alias="vit")
    assert cells[1].target.describe().startswith("vit on textures")


def test_a_slot_holds_what_a_grid_says_whatever_the_files_hold(session: MakeSession, tmp_path: Path) -> None:
    file = weights(tmp_path / "a", 1.0)
    before = planned(session(), tmp_path, str(file))
    weights(tmp_path / "a", 2.0)
    after = planned(session(), tmp_path, str(file))
    assert [c.slot for c in before] == [c.slot for c in after]
    assert all(old.id != new.id for old, new in zip(before, after, strict=True))
    # A file of that name elsewhere is another model, not a newer one.
    elsewhere = planned(session(), tmp_path, str(weights(tmp_path / "b", 2.0)))
    assert all(old.slot != new.slot for old, new in zip(after, elsewhere, strict=True))
    other = planned(session(), tmp_path, str(file), more="threads = 2")
    assert all(old.slot != new.slot for old, new in zip(after, other, strict=True))
