"""Weights, perturbations and what probes measured: safetensors under the hash of their content."""

from __future__ import annotations

from collections.abc import Mapping

import safetensors
import safetensors.torch
from torch import Tensor

from .files import Files, content_hash
from .objects import Found

FOLDER = "tensors"
ENDING = ".safetensors"


class Tensors:
    """The tensor files of a store."""

    def __init__(self, files: Files) -> None:
        self.files = files

    def names(self) -> list[Found]:
        """The files."""
        return [found for found in self.files.listing(FOLDER) if found.name.endswith(ENDING)]

    def contents(self) -> set[str]:
        """The content hashes of all that is there."""
        return {content_of(found) for found in self.names()}

    def save(self, tensors: Mapping[str, Tensor]) -> str:
        """Write tensors under their content hash and return it."""
        data = safetensors.torch.save({k: v.detach().cpu().contiguous() for k, v in tensors.items()})
        content = content_hash(data)
        # Written even where a file of that name is there: it may be a damaged one.
        self.files.objects.write(name_of(content), data)
        return content

    def load(self, content: str) -> dict[str, Tensor]:
        """The tensors of a content hash.

        Raises:
            LostError: if they are not there, or damaged and now set aside.
        """
        data = self.files.read(name_of(content))
        try:
            return dict(safetensors.torch.load(data))
        except (safetensors.SafetensorError, ValueError, KeyError) as error:
            raise self.files.set_aside(name_of(content), f"no safetensors: {error}") from None


def name_of(content: str) -> str:
    """The file of the tensors with this content hash, whether it is there or not."""
    return f"{FOLDER}/{content}{ENDING}"


def content_of(found: Found) -> str:
    """The content hash of a file of tensors."""
    return found.name.removeprefix(f"{FOLDER}/").removesuffix(ENDING)
