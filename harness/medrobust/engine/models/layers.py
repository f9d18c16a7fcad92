"""Outputs of named layers of any module, taken by hooks while it runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import Tensor, nn

from ...contracts import PENULTIMATE
from ...errors import PluginError, did_you_mean


def layer_names(module: nn.Module) -> tuple[str, ...]:
    """The names by which the layers of a module can be asked for, in the order in which they are registered."""
    return (PENULTIMATE, *(name for name, _ in module.named_modules() if name))


@contextmanager
def watched(module: nn.Module, layers: Sequence[str]) -> Iterator[dict[str, Tensor]]:
    """A dict that each pass fills with the outputs of some layers, with their gradients where the pass has any.

    A layer that runs several times in a pass, such as one ReLU that a block uses throughout, counts as it ran last.
    What comes after a layer works on a copy: a ReLU in place does not change what was kept.

    Args:
        module: left as it is, but for hooks while the context lasts.
        layers: names from `layer_names`.

    Raises:
        PluginError: for a layer that there is not, with the nearest names.
    """
    modules = dict(module.named_modules())
    kept: dict[str, Tensor] = {}

    def keep(name: str, output: Any) -> Tensor:
        if not isinstance(output, Tensor):
            raise PluginError(f"layer '{name}' puts out a {type(output).__name__}, not one tensor; name one inside it")
        kept[name] = output
        return output.clone()

    with ExitStack() as hooks:
        for name in dict.fromkeys(layers):
            if name == PENULTIMATE:
                last = [m for m in modules.values() if isinstance(m, nn.Linear | nn.Conv2d)]
                found = [m.register_forward_pre_hook(lambda _m, given: (keep(PENULTIMATE, given[0]),)) for m in last]
            elif name in modules:
                found = [modules[name].register_forward_hook(lambda _m, _i, out, name=name: keep(name, out))]
            else:
                raise PluginError(unknown_layer(name, module))
            for hook in found:
                hooks.callback(hook.remove)
        yield kept


def output_of(kept: dict[str, Tensor], layer: str, module: nn.Module) -> Tensor:
    """What a pass has kept of a layer.

    Raises:
        PluginError: if the layer plays no part in a pass.
    """
    if layer in kept:
        return kept[layer]
    if layer == PENULTIMATE:
        raise PluginError(f"the model has no linear layer or convolution; name the layer: {_some(module)}")
    raise PluginError(f"layer '{layer}' plays no part when the model is evaluated; name another: {_some(module)}")


def unknown_layer(layer: str, module: nn.Module) -> str:
    """That a model has no layer of a name, with the names that it has."""
    nearest = did_you_mean(layer, layer_names(module))
    hint = nearest if nearest.endswith("?") else ""
    return f"the model has no layer '{layer}'{hint}; its layers: {_some(module)}"


def _some(module: nn.Module) -> str:
    """Layers in words: those of the two outermost levels that a network of hundreds has."""
    names = layer_names(module)
    if len(names) > 40:
        names = tuple(name for name in names if name.count(".") < 2)
    return ", ".join(names[:40]) + (", ..." if len(names) < len(layer_names(module)) or len(names) > 40 else "")
