"""From what a command names to a live network: a factory, a model plugin, or a file of a whole model."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

from ..contracts import DataSource, Model, Shape
from ..engine.models.checkpoints import code_in, fitted, load_checkpoint
from ..errors import ModelError
from ..plugins import local
from ..plugins.registry import Registry
from ..plugins.specs import build
from ..plugins.tracebacks import own_line
from .tables import table_from
from .wrapping import Steady

SUFFIXES: Final = (".pt", ".pth", ".ts", ".pt2", ".pkl", ".bin", ".ckpt", ".safetensors")
TRUST: Final = "--trust-code opens it all the same; do so only if you know who made it"


@dataclass(frozen=True)
class Built:
    """A live network and what is to be said of it.

    Attributes:
        module: the network.
        label: what it is called; no path.
        notes: how its weights were found.
    """

    module: nn.Module
    label: str
    notes: tuple[str, ...] = ()


def is_plugin(text: str, registry: Registry) -> bool:
    """Whether a text names a model plugin, by its name, `distribution:name` or a table."""
    if text.lstrip().startswith("{"):
        return True
    offers = list(registry.offers("model"))
    return text in {o.name for o in offers} | {o.qualified for o in offers} or ":" not in text


def is_file(text: str) -> bool:
    """Whether a text names a file of a model."""
    return Path(text).suffix in SUFFIXES


def from_plugin(
    text: str, weights: Path | None, shape: Shape, registry: Registry, source: DataSource, *, trust_code: bool = False
) -> Built:
    """The network of a model plugin with its weights.

    Raises:
        ModelError: if it has none but random weights.
        PluginError: for an unknown name or parameter.
    """
    table = table_from(text, "--model")
    spec = build(registry.find("model", str(table.pop("name"))), table, registry)
    model = spec.plugin
    assert isinstance(model, Model)
    if weights is None and isinstance(model.init, str) and model.init not in ("random", "imagenet"):
        weights = source.find(model.init, what=f"checkpoint '{model.init}'")
    if weights is None and not isinstance(model.init, str):
        raise ModelError(f"model '{spec.name}' is trained first; 'medrobust run' trains models, judge takes weights")
    module = _seeded(model, shape, 0)
    if weights is not None:
        return Built(*_weighted(module, weights, trust_code=trust_code, label=spec.name))
    if model.init == "imagenet":
        model.load_imagenet(module, source)
    elif _random(module, _seeded(model, shape, 1)):
        raise ModelError(
            f"model '{spec.name}' has random weights; name a file of weights with --weights ('medrobust run' trains "
            "models)"
        )
    return Built(module, spec.name)


def _seeded(model: Model, shape: Shape, seed: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return model.build(shape)


def _random(first: nn.Module, second: nn.Module) -> bool:
    """Whether two networks of one plugin have other weights: what it builds is not trained."""
    others = second.state_dict()
    return any(isinstance(v, Tensor) and not torch.equal(v, others[k]) for k, v in first.state_dict().items())


def from_factory(text: str, arguments: str, weights: Path | None, *, trust_code: bool = False) -> Built:
    """The network that `package.module:name` or `file.py:name` gives, with the weights of a file.

    Raises:
        ModelError: if it cannot be imported or called, gives no module, or the weights do not fit.
    """
    place, _, name = text.rpartition(":")
    found = _attribute(place, name)
    label = f"{Path(place).stem if place.endswith('.py') else place}:{name}"
    given = table_from(arguments, "--model-args") if arguments else {}
    if isinstance(found, nn.Module) and not given:
        module: Any = found
    elif callable(found):
        module = _called(found, given, text)
    else:
        raise ModelError(f"{text} is {type(found).__name__}; --model names a function or class that gives the network")
    if not isinstance(module, nn.Module):
        raise ModelError(f"{text} gave {type(module).__name__}, not a torch.nn.Module")
    if weights is None:
        return Built(module, label)
    return Built(*_weighted(module, weights, trust_code=trust_code, label=label))


def _attribute(place: str, name: str) -> Any:
    file = Path(place)
    folder = file.absolute().parent if file.suffix == ".py" else Path.cwd()
    if file.suffix == ".py" and not file.is_file():
        raise ModelError(f"--model: there is no file {place}")
    local.open_folder(folder)
    try:
        module = local.load(file.absolute()) if file.suffix == ".py" else importlib.import_module(place)
    except ModuleNotFoundError as error:
        where = f"; looked among what is installed and in {folder}" if error.name == place.partition(".")[0] else ""
        raise ModelError(f"--model: cannot import {place}: {error}{where}") from error
    except Exception as error:
        raise ModelError(
            f"--model: importing {place} raised {type(error).__name__}: {error} ({own_line(error)})"
        ) from error
    if hasattr(module, name):
        return getattr(module, name)
    known = [n for n, v in vars(module).items() if callable(v) and getattr(v, "__module__", "") == module.__name__]
    raise ModelError(f"--model: {place} has no '{name}'; it has {', '.join(sorted(known)) or 'no function or class'}")


def _called(factory: Callable[..., Any], given: Mapping[str, Any], text: str) -> Any:
    try:
        inspect.signature(factory).bind(**given)
    except TypeError as error:
        raise ModelError(
            f"{text}: {error}; give its arguments, such as --model-args 'num_classes = 2, width = 8'"
        ) from None
    except ValueError:
        pass  # of some builtins no signature is known
    try:
        return factory(**given)
    except Exception as error:
        raise ModelError(f"{text} raised {type(error).__name__}: {error} ({own_line(error)})") from error


def _weighted(module: nn.Module, file: Path, *, trust_code: bool, label: str) -> tuple[nn.Module, str, tuple[str, ...]]:
    """A network with the weights of a file in it, its label, and how they were found."""
    if not file.is_file():
        raise ModelError(f"--weights: there is no file {file}")
    if not code_in(file):
        notes = fitted(file, module.state_dict()).notes
        load_checkpoint(module, file)
        return module, label, notes
    if not trust_code:
        raise _refused(file)
    whole = open_trusted(file)
    own = module.state_dict()
    whole = whole.program if isinstance(whole, Steady) else whole
    state = whole.state_dict() if isinstance(whole, nn.Module) else whole
    try:
        module.load_state_dict(state if isinstance(state, Mapping) else {})
    except RuntimeError:
        common = sum(name in own for name in state) if isinstance(state, Mapping) else 0
        raise ModelError(
            f"{file}: {common} of the {len(own)} weights of the network are in it under the same name; save "
            "model.state_dict() alone"
        ) from None
    return module, label, ("taken from a file whose code was run",)


def from_file(file: Path, *, trust_code: bool = False) -> Built:
    """The network that a file holds whole: a pickled module, TorchScript, an exported program.

    Raises:
        ModelError: unless its code is trusted, or if it holds weights alone.
    """
    if not file.is_file():
        raise ModelError(f"--model: there is no file {file}")
    if not code_in(file):
        raise ModelError(
            f"{file} holds weights and no network; name what builds it: --model my_package.nets:build --weights "
            f"{file.name}"
        )
    if not trust_code:
        raise _refused(file)
    whole = open_trusted(file)
    if not isinstance(whole, nn.Module):
        raise ModelError(f"{file} holds {type(whole).__name__}, not a network")
    return Built(whole, file.stem, ("loaded whole from the file, whose code was run",))


def _refused(file: Path) -> ModelError:
    return ModelError(
        f"{file} {code_in(file)}. It was not opened. Where the model is at hand, save its weights alone: "
        f"torch.save(model.state_dict(), 'weights.pt'), and name what builds it with --model. {TRUST}"
    )


def open_trusted(file: Path) -> Any:
    """What a file holds, running the code in it.

    Raises:
        ModelError: if that fails.
    """
    local.open_folder(Path.cwd())
    why = code_in(file)
    try:
        if "exported program" in why:
            return Steady(torch.export.load(file).module())
        if "TorchScript" in why:
            return Steady(torch.jit.load(str(file), map_location="cpu").eval())
        return torch.load(file, map_location="cpu", weights_only=False)
    except Exception as error:
        raise ModelError(f"{file} cannot be opened: {' '.join(str(error).split())[:300]}") from error


def channels_of(module: nn.Module) -> int | None:
    """Channels that the first convolution takes, 1 or 3; None if that does not say."""
    first = next((m for m in module.modules() if isinstance(m, nn.Conv2d)), None)
    return first.in_channels if first is not None and first.in_channels in (1, 3) else None
