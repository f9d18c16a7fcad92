"""Checkpoints of other programs: their weights are found, and what does not fit is said; no code of theirs runs."""

from __future__ import annotations

import argparse
import pickle
import re
import zipfile
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from medrobust import ModelError
from medrobust.engine.models.checkpoints import fitted, load_checkpoint


def net(classes: int = 2, channels: int = 1) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(channels, 2, 3), nn.BatchNorm2d(2), nn.Conv2d(2, 2, 1), nn.Flatten(), nn.Linear(8, classes)
    )


class Wrapped(nn.Module):
    """A network behind a layer without weights, as the bundled models are."""

    def __init__(self) -> None:
        super().__init__()
        self.body = net()


State = dict[str, Tensor]
OPTIMIZER = {"state": {0: {"exp_avg": torch.ones(2)}}, "param_groups": [{"lr": 0.1}]}


def below(prefix: str, state: State) -> State:
    return {prefix + name: value for name, value in state.items()}


FORMS: dict[str, tuple[Any, tuple[str, ...]]] = {
    "plain": (lambda s: s, ()),
    "state_dict": (lambda s: {"state_dict": s}, ("weights found under 'state_dict'",)),
    "beside others": (
        lambda s: {"model_state_dict": s, "epoch": 3, "optimizer": OPTIMIZER, "loss": 0.5},
        ("weights found under 'model_state_dict'", "'epoch', 'optimizer', 'loss' left out"),
    ),
    "model": (lambda s: {"epoch": 3, "model": s}, ("weights found under 'model'", "'epoch' left out")),
    "net and accuracy": (
        lambda s: {"net": s, "acc": torch.tensor(0.9)},
        ("weights found under 'net'", "'acc' left out"),
    ),
    "ema alone": (lambda s: {"ema": s, "step": 10}, ("weights found under 'ema'", "'step' left out")),
    "ema beside": (lambda s: {"ema": below("x.", s), "model": s}, ("weights found under 'model'", "'ema' left out")),
    "nested": (lambda s: {"model": {"state_dict": s}}, ("weights found under 'model.state_dict'",)),
    "one of another name": (
        lambda s: {"classifier": s, "optim": OPTIMIZER},
        ("weights found under 'classifier'", "'optim' left out"),
    ),
    "DataParallel": (lambda s: below("module.", s), ("prefix 'module.' removed",)),
    "compiled": (lambda s: below("_orig_mod.", s), ("prefix '_orig_mod.' removed",)),
    "Lightning": (
        lambda s: {"state_dict": {**below("model.", s), "criterion.weight": torch.ones(2)}, "epoch": 1},
        ("weights found under 'state_dict'", "'epoch' left out", "prefix 'model.' removed"),
    ),
    "all of it": (
        lambda s: {"state_dict": below("module._orig_mod.net.", s)},
        ("weights found under 'state_dict'", "prefix 'module._orig_mod.net.' removed"),
    ),
    "flat with a number": (lambda s: {**s, "epoch": 3}, ("'epoch' left out",)),
    "no counters": (lambda s: {k: v for k, v in s.items() if "num_batches" not in k}, ()),
}


@pytest.mark.parametrize("form", FORMS)
def test_weights_are_found_wherever_programs_keep_them(tmp_path: Path, form: str) -> None:
    torch.manual_seed(1)
    trained, fresh = net(), net()
    make, notes = FORMS[form]
    torch.save(make(trained.state_dict()), tmp_path / "weights.pt")
    load_checkpoint(fresh, tmp_path / "weights.pt")
    assert all(
        torch.equal(a, b) for a, b in zip(fresh.state_dict().values(), trained.state_dict().values(), strict=True)
    )
    assert fitted(tmp_path / "weights.pt", net().state_dict()).notes == notes


def test_safetensors_load_too(tmp_path: Path) -> None:
    trained, fresh = net(), net()
    safetensors.torch.save_file(below("module.", trained.state_dict()), tmp_path / "weights.safetensors")
    load_checkpoint(fresh, tmp_path / "weights.safetensors")
    assert torch.equal(fresh.state_dict()["4.weight"], trained.state_dict()["4.weight"])


def test_a_network_behind_a_normalisation_takes_the_weights_of_the_network(tmp_path: Path) -> None:
    trained = net()
    torch.save({"model": below("module.", trained.state_dict())}, tmp_path / "weights.pt")
    module = Wrapped()
    load_checkpoint(module, tmp_path / "weights.pt")
    assert torch.equal(module.body.state_dict()["0.weight"], trained.state_dict()["0.weight"])
    assert fitted(tmp_path / "weights.pt", module.state_dict()).notes[1:] == (
        "prefix 'module.' removed",
        "prefix 'body.' added",
    )


class Trojan:
    """Runs code when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (exec, ("raise SystemExit('unpickled')",))


def write(file: Path, fault: str) -> None:
    state: dict[str, Any] = dict(net().state_dict())
    match fault:
        case "missing":
            del state["4.bias"], state["4.weight"]
            torch.save(state, file)
        case "unknown":
            torch.save(state | {"head.weight": torch.ones(1), "head.bias": torch.ones(1)}, file)
        case "classes":
            torch.save(net(7).state_dict(), file)
        case "channels":
            torch.save(net(channels=3).state_dict(), file)
        case "shape":
            torch.save(state | {"2.weight": torch.ones(5, 2, 1, 1)}, file)
        case "architecture":
            torch.save({f"layer{i}.weight": torch.ones(2) for i in range(9)}, file)
        case "garbage":
            file.write_bytes(b"these are no weights")
        case "empty":
            file.write_bytes(b"")
        case "absent":
            pass
        case "trojan":
            torch.save({"w": Trojan()}, file)
        case "pickled trojan":
            file.write_bytes(pickle.dumps(Trojan(), protocol=2))
        case "model":
            torch.save(net(), file)
        case "model in a checkpoint":
            torch.save({"model": Wrapped(), "epoch": 3}, file)
        case "arguments":
            torch.save({"state_dict": state, "args": argparse.Namespace(lr=0.1)}, file)
        case "program":
            with zipfile.ZipFile(file, "w") as archive:
                for name in ("net/data.pkl", "net/code/__torch__/net.py", "net/constants.pkl", "net/version"):
                    archive.writestr(name, b"3\n")
        case "tensor":
            torch.save(torch.ones(3), file)
        case "not tensors":
            torch.save(dict.fromkeys(state, 3), file)
        case "two":
            torch.save({"generator": state, "critic": state}, file)
        case "nan":
            torch.save(state | {"4.bias": torch.tensor([0.0, float("nan")])}, file)


HOW = r"Where the model is at hand, save its weights alone: torch\.save\(model\.state_dict\(\), 'weights\.pt'\)"
FAULTS = {
    "missing": (
        r"does not fit the model: it lacks 2 of 11 weights \('4\.weight', '4\.bias'\)\. Likely cause: a variant of "
        "this architecture, with another head"
    ),
    "unknown": r"2 of its 13 weights are unknown to the model \('head\.weight', 'head\.bias'\)\. Likely cause",
    "classes": (
        r"2 have another shape \('4\.weight': \(7, 8\) in the file, \(2, 8\) in the model\)\. Likely cause: it was "
        "trained for 7 outputs, and the data set has 2 classes"
    ),
    "channels": "Likely cause: it takes images of 3 channels, and the data set has 1",
    "shape": r"1 has another shape \('2\.weight': \(5, 2, 1, 1\).*Likely cause: a variant of this architecture",
    "architecture": (
        r"it lacks 10 of 11 weights \('0\.weight', .* and 7 more\); 9 of its 9 weights are unknown .*Likely cause: "
        "another architecture, or another naming of its layers"
    ),
    "garbage": "cannot be read",
    "empty": "cannot be read",
    "absent": r"cannot be read \(.*[Nn]o such file",
    "trojan": r"holds more than weights: objects of '.*exec', .*It was not opened, since that would run code",
    "pickled trojan": r"holds more than weights: objects of '.*exec'",
    "model": r"holds more than weights: objects of 'torch\.nn\.modules.*as a pickled model does\. .*" + HOW,
    "model in a checkpoint": r"objects of '.*Wrapped', .*" + HOW,
    "arguments": r"objects of 'argparse\.Namespace'.*" + HOW,
    "program": r"is a TorchScript program, which is not run\. " + HOW,
    "tensor": "holds Tensor, not weights by name",
    "not tensors": r"holds no weights; '0\.weight', '0\.bias', '1\.weight' and 8 more hold no tensors",
    "two": "'generator', 'critic' may each be the weights; save those that are meant alone",
    "nan": r"holds NaN or infinite weights in '4\.bias'",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_checkpoint_that_does_not_fit_is_named_with_the_difference(tmp_path: Path, fault: str) -> None:
    file = tmp_path / "weights.pt"
    write(file, fault)
    with pytest.raises(ModelError, match=rf"^checkpoint {re.escape(str(file))}:? .*({FAULTS[fault]})") as caught:
        load_checkpoint(net(), file)
    assert str(caught.value).isprintable()


def test_garbage_in_a_safetensors_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "weights.safetensors"
    file.write_bytes(b"these are no weights")
    with pytest.raises(ModelError, match=r"weights\.safetensors: cannot be read"):
        load_checkpoint(net(), file)
