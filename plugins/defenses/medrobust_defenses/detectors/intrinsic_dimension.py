"""Detection by local intrinsic dimensionality."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from medrobust import PENULTIMATE, Count, Detector, Features, Learning, PluginError, Reference, State, TensorScore

from ..references import LID, MA
from .scaling import LEARNED, log_odds, logistic, stacked


@dataclass(frozen=True)
class LocalIntrinsicDimension(Detector):
    """How fast the number of clean images grows with the distance from an image, in the features of each layer.

    Ma et al., "Characterizing adversarial subspaces using local intrinsic dimensionality", ICLR 2018, as ma2020 uses it
    (section 3.2): the maximum likelihood estimate from the distances to the nearest of a sample of clean images
    (equation 10), one number a layer, scaled to [0, 1], in a logistic regression.

    Attributes:
        layers: whose outputs are looked at; ma2020 says every layer, its released code takes the last only.
        neighbours: how many of the nearest count; with `sample_of = "self"`, all of a minibatch that has fewer, as in
            the released code.
        sample: clean images of which they are the nearest; a minibatch, in the paper.
        sample_of: `train`, a draw from the images that the model was trained on; or `self`, minibatches of the clean
            images themselves, fitted on or scored, as in the released code, which leaves out the nearest neighbour of
            every image: itself if it is clean, and its clean version if it is adversarial.
    """

    name: ClassVar[str] = "lid"
    revision: ClassVar[int] = 1
    references: ClassVar[tuple[Reference, ...]] = (LID, MA)
    layers: tuple[str, ...] = (PENULTIMATE,)
    neighbours: Count = 20
    sample: Count = 100
    sample_of: Literal["train", "self"] = "train"

    @property
    def watches(self) -> tuple[str, ...]:
        return self.layers

    @property
    def leaks(self) -> str:
        if self.sample_of == "train":
            return ""
        return "neighbours are the very clean images that are scored (sample_of = 'self')"

    @property
    def _left_out(self) -> int:
        """Nearest neighbours that do not count: of a clean image that is in the sample, itself."""
        return 0 if self.sample_of == "train" else 1

    def fit(self, learning: Learning) -> State:
        if self.sample_of == "train":
            source, _ = learning.train()
            state = learned = self._sampled(source, learning.seed)
        else:
            assert learning.judged is not None
            learned, state = (self._sampled(half, learning.seed) for half in (learning.clean, learning.judged))
        dimensions = [self._dimensions(learned, seen) for seen in (learning.clean, learning.adversarial)]
        values, labels = stacked(dimensions[0], dimensions[1], "lid")
        return {**state, **logistic(values, labels, learning, "lid")}

    def _sampled(self, source: Features, seed: int) -> State:
        """The clean images among which neighbours are.

        Raises:
            PluginError: if they are fewer than the neighbours, or none but the image itself.
        """
        count = min(len(source), self.sample)
        if self.sample_of == "self" and count < 2:
            raise PluginError(f"lid: an image has no neighbour among {count} clean images of the same slice")
        if self.sample_of == "train" and count < self.neighbours:
            raise PluginError(
                f"lid: {self.neighbours} neighbours are asked for among {count} clean images; lower `neighbours`"
                + (" or raise `sample`" if len(source) > self.sample else "")
            )
        rows = np.arange(len(source))
        if self.sample_of == "train":
            rows = np.random.default_rng(seed).permutation(rows)[:count]
        return {f"sample {name}": source.layers[name][rows] for name in self.layers}

    def score(self, state: State, seen: Features) -> NDArray[np.float64]:
        return log_odds(state, self._dimensions(state, seen))

    def _dimensions(self, state: State, seen: Features) -> NDArray[np.float64]:
        """The local intrinsic dimensionality of each image at each layer (n, layers)."""
        found = np.empty((len(seen), len(self.layers)))
        for rows, sampled in self._minibatches(len(seen), len(state[f"sample {self.layers[0]}"])):
            own = {f"sample {name}": state[f"sample {name}"][sampled] for name in self.layers}
            layers = {name: torch.as_tensor(seen.layers[name][rows]).double() for name in self.layers}
            found[rows] = self._estimates(own, layers).numpy()
        return found

    def _minibatches(self, images: int, clean: int) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Places of images, with the places of the clean images that their neighbours are among."""
        if self.sample_of == "train" or images != clean:
            return [(np.arange(images), np.arange(min(clean, self.sample)))]
        # They are the clean images or their adversarial versions: each is held against the clean ones of its minibatch.
        return [(rows, rows) for rows in np.array_split(np.arange(clean), max(1, clean // self.sample))]

    def _estimates(self, state: State, layers: Mapping[str, Tensor]) -> Tensor:
        each = []
        for name in self.layers:
            sample = torch.as_tensor(state[f"sample {name}"], device=layers[name].device).to(layers[name].dtype)
            neighbours = min(self.neighbours, len(sample) - self._left_out)
            each.append(local_dimension(layers[name], sample, neighbours, self._left_out))
        return torch.stack(each, dim=1)

    def differentiable(self, state: State) -> TensorScore:
        def score(layers: Mapping[str, Tensor], logits: Tensor) -> Tensor:
            found = self._estimates(state, {name: values.double() for name, values in layers.items()})
            learned = {name: torch.as_tensor(state[name], device=found.device) for name in LEARNED}
            scaled = (found - learned["low"]) / learned["span"]
            return (scaled @ learned["weights"] + learned["bias"]).to(logits.dtype)

        return score


def local_dimension(points: Tensor, sample: Tensor, neighbours: int, left_out: int = 0) -> Tensor:
    """The maximum likelihood estimate of local intrinsic dimensionality (n,), from distances to a sample.

    -1 / mean_i log(r_i / r_k), with r_1 <= ... <= r_k the distances to the k nearest (ma2020, equation 10).

    Args:
        points: where it is estimated (n, width).
        sample: the points among which neighbours are (m, width), at least `neighbours` + `left_out`.
        neighbours: k.
        left_out: how many of the nearest do not count.
    """
    apart = torch.cdist(points, sample, compute_mode="donot_use_mm_for_euclid_dist")
    radii = apart.topk(neighbours + left_out, dim=1, largest=False).values[:, left_out:]
    # Images that are equal have no distance, and all distances may be equal: neither may give an infinite number.
    radii = radii.clamp_min(1e-12)
    growth = (radii / radii[:, -1:]).log().mean(dim=1)
    return -1 / growth.clamp_max(-1e-12)
