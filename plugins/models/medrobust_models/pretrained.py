"""ImageNet weights: from files on this machine, and into networks whose head is another."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor, nn

from medrobust import DataSource, ModelError

Weights = dict[str, Tensor]


def places(architecture: str, *others: str) -> list[str]:
    """Where below the data root the ImageNet weights of an architecture may lie, the first place first."""
    names = (f"{architecture}-imagenet.safetensors", f"{architecture}-imagenet.pth", *others)
    return [f"weights/{name}" for name in names]


def local_file(source: DataSource, candidates: Sequence[str]) -> Path | None:
    """The first of some files below the data root that is there."""
    if source.root is None:
        return None
    return next((source.root / place for place in candidates if (source.root / place).is_file()), None)


def read_weights(file: Path) -> Weights:
    """The tensors of a file.

    Raises:
        ModelError: if it is damaged or holds more than weights.
    """
    try:
        if file.suffix == ".safetensors":
            return safetensors.torch.load_file(file)
        state: Weights = torch.load(file, map_location="cpu", weights_only=True)
        if not all(isinstance(v, Tensor) for v in state.values()):
            raise TypeError("it holds more than weights")
    except Exception as error:  # noqa: BLE001 - a damaged file can raise anything
        cause = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelError(f"{file}: cannot be read as weights ({cause}); copy it again") from None
    return state


def take_over(network: nn.Module, state: Weights, architecture: str, heads: Sequence[str]) -> None:
    """Load all layers of a network but its head.

    Args:
        network: with a head of its own.
        state: ImageNet weights; what the network does not have is left out.
        architecture: its name, for messages.
        heads: names of the submodules that make the head.

    Raises:
        ModelError: naming layers whose weights are missing or of another shape.
    """
    own = network.state_dict()
    head = tuple(f"{name}." for name in heads)
    wanted = [k for k in own if not k.startswith(head) and not k.endswith("num_batches_tracked")]
    lacking = [k for k in wanted if k not in state or state[k].shape != own[k].shape]
    if lacking:
        others = f", and so are {len(lacking) - 1} of the other {len(wanted) - 1} tensors" if len(lacking) > 1 else ""
        raise ModelError(
            f"ImageNet weights of {architecture} do not fit: '{lacking[0]}' is missing or differs in shape{others}"
        )
    fitting = {k: state[k].to(own[k].dtype) for k in own if k in state and state[k].shape == own[k].shape}
    network.load_state_dict({k: v for k, v in fitting.items() if not k.startswith(head)}, strict=False)
