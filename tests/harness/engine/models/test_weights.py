"""Weights come from checkpoints that fit, and go to the store and back unchanged."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import nn

from medrobust import ModelError
from medrobust.engine.models.weights import load_checkpoint


def net() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 2))


@pytest.mark.parametrize("form", ["weights.safetensors", "weights.pt", "wrapped.pth"])
def test_checkpoints_of_either_format_load(tmp_path: Path, form: str) -> None:
    torch.manual_seed(1)
    trained, fresh = net(), net()
    state: Any = trained.state_dict()
    file = tmp_path / form
    if form.endswith("safetensors"):
        safetensors.torch.save_file(state, file)
    else:
        torch.save({"state_dict": state} if form.startswith("wrapped") else state, file)
    load_checkpoint(fresh, file)
    assert all(torch.equal(a, b) for a, b in zip(fresh.state_dict().values(), state.values(), strict=True))


class Trojan:
    """Runs code when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (exec, ("raise SystemExit('unpickled')",))


def write(file: Path, fault: str) -> None:
    state: dict[str, Any] = dict(net().state_dict())
    match fault:
        case "missing":
            del state["3.bias"], state["3.weight"]
            torch.save(state, file)
        case "unknown":
            torch.save(state | {"head.weight": torch.ones(1), "head.bias": torch.ones(1), "x": torch.ones(1)}, file)
        case "shape":
            torch.save(state | {"3.weight": torch.ones(5, 8)}, file)
        case "garbage":
            file.write_bytes(b"these are no weights")
        case "empty":
            file.write_bytes(b"")
        case "trojan":
            torch.save({"w": Trojan()}, file)
        case "tensor":
            torch.save(torch.ones(3), file)
        case "not tensors":
            torch.save(dict.fromkeys(state, 3), file)
        case "nan":
            torch.save(state | {"3.bias": torch.tensor([0.0, float("nan")])}, file)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("missing", "does not fit the model: it misses '3.bias', '3.weight'"),
        ("unknown", "does not fit the model: it has unknown 'head.bias', 'head.weight' and 1 more"),
        ("shape", r"'3.weight' has shape \(5, 8\), the model \(2, 8\)\. Check model and classes"),
        ("garbage", "cannot be read"),
        ("empty", "cannot be read"),
        ("trojan", "cannot be read"),
        ("tensor", "cannot be read"),
        ("not tensors", "hold no tensors"),
        ("nan", "holds NaN or infinite weights in '3.bias'"),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_named_with_the_difference(tmp_path: Path, fault: str, message: str) -> None:
    file = tmp_path / "weights.pt"
    write(file, fault)
    with pytest.raises(ModelError, match=rf"checkpoint {re.escape(str(file))}.*({message})") as caught:
        load_checkpoint(net(), file)
    assert "\n" not in str(caught.value)


def test_garbage_in_a_safetensors_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "weights.safetensors"
    file.write_bytes(b"these are no weights")
    with pytest.raises(ModelError, match=r"weights\.safetensors: cannot be read"):
        load_checkpoint(net(), file)
