"""Checkpoints that other programs have written: their weights under a module's names, or why they do not fit."""

from __future__ import annotations

import contextlib
import itertools
import pickle
import pickletools
import warnings
import zipfile
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import safetensors.torch
import torch
from torch import Tensor, nn

from ...errors import ModelError

PLACES: Final = (
    *("state_dict", "model_state_dict", "model", "net", "network", "module", "weights", "params"),
    *("ema", "model_ema", "ema_state_dict", "state_dict_ema"),
)
"""Where training programs keep the weights in a checkpoint, the likeliest first."""
PREFIXES: Final = ("module.", "model.", "net.", "network.", "_orig_mod.")
"""What DataParallel, Lightning, torch.compile and the like put before the names of weights."""
DEEPEST: Final = 4
"""Places, or prefixes, within one another."""
COUNTER: Final = "num_batches_tracked"
"""A buffer of batch norms that no prediction depends on; older checkpoints have none."""
PICKLES: Final = 5
"""Pickles one after the other in torch's older format, weights being in the fourth."""
OPERATIONS: Final = 1_000_000
"""Of a pickle that are looked at for what it names."""
_DAMAGED: Final = (OSError, ValueError, NotImplementedError, zipfile.BadZipFile)
"""What zipfile raises on what is no archive, or half of one."""
State = dict[str, Tensor]


@dataclass(frozen=True)
class Checkpoint:
    """The weights of a file under the names that a module has for them.

    Attributes:
        state: by name.
        notes: what was done to find them.
    """

    state: State
    notes: tuple[str, ...] = ()


def load_checkpoint(module: nn.Module, file: Path) -> None:
    """Load all weights of a checkpoint into a module.

    Raises:
        ModelError: saying why the file cannot be read, or in what it does not fit the module.
    """
    own = module.state_dict()
    state = fitted(file, own).state
    if bad := sorted(k for k, v in state.items() if not torch.isfinite(v).all()):
        raise ModelError(f"checkpoint {file}: holds NaN or infinite weights in {_some(bad)}; take another checkpoint")
    module.load_state_dict({**{k: v for k, v in own.items() if k.endswith(COUNTER)}, **state})


def fitted(file: Path, own: Mapping[str, Tensor]) -> Checkpoint:
    """The weights of a checkpoint for a module whose own are given.

    Raises:
        ModelError: saying why the file cannot be read, or in what it does not fit the module.
    """
    state, notes = _weights_of(_content(file), file)
    state, renamed = _renamed(state, own)
    if wrong := _misfit(state, own):
        raise ModelError(f"checkpoint {file} does not fit the model: {wrong}")
    return Checkpoint(state, (*notes, *renamed))


def code_in(file: Path) -> str:
    """Why loading a file may run code that is in it: a pickle, TorchScript, an exported program; empty if it cannot."""
    if file.suffix == ".safetensors":
        return ""
    if _is_exported(file):
        return "is an exported program, whose loading runs code from the file"
    if _is_torchscript(file):
        return "is a TorchScript program, which is code"
    if classes := _classes_in(file):
        return f"holds objects of {_some(classes)}, as a pickled model does, whose loading runs code from the file"
    return ""


# Reading -------------------------------------------------------------------------------------------------------------


def _content(file: Path) -> Any:
    """What a file holds; no code of it is ever run."""
    if grown := _grown(file):
        raise ModelError(f"checkpoint {file}: {grown}")
    try:
        if file.suffix == ".safetensors":
            return safetensors.torch.load_file(file)
        return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # noqa: BLE001 - a damaged file can raise anything
        raise ModelError(f"checkpoint {file}: {_unreadable(file, error)}") from None


def _grown(file: Path) -> str:
    """Why a file would take more memory than its size tells; torch never compresses what it writes."""
    with contextlib.suppress(*_DAMAGED), zipfile.ZipFile(file) as packed:
        declared, size = sum(entry.file_size for entry in packed.infolist()), file.stat().st_size
        if declared > size:
            return (
                f"has {size / 1e6:.1f} MB and would unpack to {declared / 1e6:.1f} MB, which torch.save never writes; "
                "it was not opened"
            )
    return ""


def _unreadable(file: Path, error: Exception) -> str:
    how = "Where the model is at hand, save its weights alone: torch.save(model.state_dict(), 'weights.pt')"
    if _is_exported(file):
        return f"is an exported program, which is not run. {how}"
    if _is_torchscript(file):
        return f"is a TorchScript program, which is not run. {how}"
    if classes := _classes_in(file):
        return (
            f"holds more than weights: objects of {_some(classes)}, as a pickled model does. It was not opened, since "
            f"that would run code from the file. {how}"
        )
    if isinstance(error, pickle.UnpicklingError) and _names_in(file):
        return f"holds more than weights, and was not opened, since that could run code from the file. {how}"
    cause = next((line for line in str(error).splitlines() if line.isprintable()), type(error).__name__)
    return f"cannot be read ({cause[:200]}); give .safetensors or a torch file of weights"


def _is_torchscript(file: Path) -> bool:
    return any("/code/" in name or name.endswith("/constants.pkl") for name in _names_in(file))


def _is_exported(file: Path) -> bool:
    names = _names_in(file)
    return any(
        name.endswith(("serialized_exported_program.json", "models/model.json", "archive_format")) for name in names
    )


def _names_in(file: Path) -> list[str]:
    """The files in a zip archive; none if it is no archive."""
    try:
        with zipfile.ZipFile(file) as archive:
            return archive.namelist()
    except _DAMAGED:
        return []


def _classes_in(file: Path) -> list[str]:
    """Classes and functions that pickles name, those of torch itself last; reads the pickles without following them."""
    found: set[str] = set()
    try:
        with contextlib.ExitStack() as stack, warnings.catch_warnings(action="ignore"):
            if names := _names_in(file):
                archive = stack.enter_context(zipfile.ZipFile(file))
                stream = stack.enter_context(archive.open(next(n for n in names if n.endswith("data.pkl"))))
            else:
                stream = stack.enter_context(file.open("rb"))
            for _ in range(PICKLES):
                for name in _named(stream):
                    found.add(name)
    except (*_DAMAGED, StopIteration, RuntimeError, MemoryError, OverflowError, EOFError, zlib.error):
        pass  # what was found before the damage counts
    plain = ("torch._utils.", "torch.storage.", "collections.OrderedDict", "__builtin__.set")
    odd = {n for n in found if not n.startswith(plain) and not (n.startswith("torch.") and n.endswith("Storage"))}
    return sorted(odd, key=lambda name: (name.startswith("torch."), name))


def _named(stream: IO[bytes]) -> Iterator[str]:
    """What one pickle names by module and name, as they stand there or on its stack."""
    memo: dict[int, str] = {}
    texts = ["", ""]
    for code, value, _ in itertools.islice(pickletools.genops(stream), OPERATIONS):
        if code.name in ("GLOBAL", "INST"):
            yield str(value).replace(" ", ".")
        elif code.name == "STACK_GLOBAL":
            yield ".".join(texts[-2:])
        elif code.name == "MEMOIZE":
            memo[len(memo)] = texts[-1]
        elif code.name.endswith("PUT"):
            memo[int(str(value))] = texts[-1]
        elif code.name.endswith("GET"):
            texts = [texts[-1], memo.get(int(str(value)), "")]
        else:
            texts = [texts[-1], value if isinstance(value, str) else ""]


def _weights_of(content: Any, file: Path) -> tuple[State, list[str]]:
    """The weights in a checkpoint, wherever they are kept, and what was left out."""
    path: list[str] = []
    left: list[str] = []
    while isinstance(content, Mapping) and len(path) < DEEPEST and (place := _place(content, file)):
        left += [_key(key) for key in content if key != place]
        path.append(place)
        content = content[place]
    if not isinstance(content, Mapping):
        raise ModelError(f"checkpoint {file}: holds {type(content).__name__}, not weights by name")
    state = {key: value for key, value in content.items() if isinstance(key, str) and isinstance(value, Tensor)}
    if odd := [name for name, value in state.items() if not _is_plain(value)]:
        raise ModelError(
            f"checkpoint {file}: {_some(odd)} are sparse, quantised, complex or without content; save dense ones"
        )
    if not state:
        entries = _some([_key(key) for key in content])
        raise ModelError(f"checkpoint {file}: holds no weights; {entries or 'nothing'} hold no tensors")
    left += [_key(key) for key in content if key not in state]
    notes = [f"weights found under '{'.'.join(path)}'"] if path else []
    return state, notes + ([f"{_some(left)} left out"] if left else [])


def _key(key: object) -> str:
    """What an entry is called; the text of a key that is no text may be endless."""
    return key if isinstance(key, str) else f"a {type(key).__name__}"


def _is_plain(value: Tensor) -> bool:
    """Whether a tensor is dense numbers in memory, as a network takes them."""
    return (
        value.layout is torch.strided and value.device.type == "cpu" and not (value.is_quantized or value.is_complex())
    )


def _place(content: Mapping[Any, Any], file: Path) -> str:
    """The entry that holds the weights; empty if they are not within an entry."""
    within = [key for key, value in content.items() if isinstance(key, str) and _holds_weights(value)]
    known = [key for key in PLACES if key in within]
    if known:
        return known[0]
    if any(isinstance(value, Tensor) for value in content.values()) or not within:
        return ""
    if len(within) > 1:
        raise ModelError(f"checkpoint {file}: {_some(within)} may each be the weights; save those that are meant alone")
    return within[0]


def _holds_weights(value: Any, depth: int = DEEPEST) -> bool:
    if not isinstance(value, Mapping) or not depth:
        return False
    if any(isinstance(key, str) and isinstance(each, Tensor) for key, each in value.items()):
        return True
    return any(_holds_weights(value[key], depth - 1) for key in PLACES if key in value)


# Names ---------------------------------------------------------------------------------------------------------------


def _renamed(state: State, own: Collection[str]) -> tuple[State, list[str]]:
    """The weights under the names that fit best, with known prefixes taken away or the module's own one added."""
    first = next(iter(own), "").partition(".")[0] + "."
    common = first if all(name.startswith(first) for name in own) else ""
    removed, best = "", (-1, state, "", "")
    for _ in range(DEEPEST):
        for added in dict.fromkeys(("", common)):
            score = sum(added + name in own for name in state)
            if score > best[0]:
                best = (score, {added + name: value for name, value in state.items()}, removed, added)
        counts = {prefix: sum(name.startswith(prefix) for name in state) for prefix in PREFIXES}
        prefix = max(PREFIXES, key=lambda p: counts[p])
        if not counts[prefix]:
            break
        state = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
        removed += prefix
    _, found, removed, added = best
    notes = [f"prefix '{removed}' removed"] if removed else []
    return found, notes + ([f"prefix '{added}' added"] if added else [])


def _misfit(state: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> str:
    """In what weights and module differ, and the likely cause; empty if they fit."""
    missing = [name for name in own if name not in state and not name.endswith(COUNTER)]
    unknown = [name for name in state if name not in own]
    shapes = [name for name in own if name in state and own[name].shape != state[name].shape]
    if not (missing or unknown or shapes):
        return ""
    told = [f"it lacks {len(missing)} of {len(own)} weights ({_some(missing)})"] if missing else []
    told += (
        [f"{len(unknown)} of its {len(state)} weights are unknown to the model ({_some(unknown)})"] if unknown else []
    )
    if shapes:
        name = shapes[0]
        pair = f"'{name}': {tuple(state[name].shape)} in the file, {tuple(own[name].shape)} in the model"
        told.append(f"{len(shapes)} {'has' if len(shapes) == 1 else 'have'} another shape ({pair})")
    return f"{'; '.join(told)}. {_cause(state, own, shapes, [*missing, *unknown])}"


def _cause(state: Mapping[str, Tensor], own: Mapping[str, Tensor], shapes: Sequence[str], others: Sequence[str]) -> str:
    matrices = [name for name in own if own[name].ndim >= 2]
    last = matrices[-1] if matrices else ""
    layer = last.rpartition(".")[0]
    if last in shapes and state[last].ndim and not others and all(name.startswith(f"{layer}.") for name in shapes):
        outputs, classes = state[last].shape[0], own[last].shape[0]
        return (
            f"Likely cause: it was trained for {outputs} outputs, and the data set has {classes} classes. Take the "
            "data set, with the parameters, that it was trained on"
        )
    first = matrices[0] if matrices else ""
    convolutions = first in shapes and own[first].ndim == 4 == state[first].ndim
    if convolutions and own[first].shape[1] != state[first].shape[1]:
        theirs, ours = state[first].shape[1], own[first].shape[1]
        return f"Likely cause: it takes images of {theirs} channels, and the data set has {ours}"
    if sum(name in state for name in own) < len(own) / 2:
        return "Likely cause: another architecture, or another naming of its layers"
    return "Likely cause: a variant of this architecture, with another head, width or version"


def _some(names: Iterable[str]) -> str:
    names = [name if len(name) < 100 else f"{name[:100]}..." for name in names]
    return ", ".join(f"'{n}'" for n in names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
