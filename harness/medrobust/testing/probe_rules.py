"""Rules for probes: what they measure of clean and adversarial images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..contracts import Probe
from ..engine.models.classifier import TorchClassifier
from ..errors import ModelError, PluginError
from .attack_cases import snapshot
from .rules import Broken, Rule, named, rule
from .situations import SITUATIONS, Situation


@dataclass
class ProbeCase:
    """A probe, with a network and images of one kind."""

    probe: Probe
    situation: Situation = field(default=SITUATIONS[1])

    def every(self) -> Iterator[ProbeCase]:
        """The probe with each kind of network and images that there is."""
        for situation in SITUATIONS:
            yield ProbeCase(self.probe, situation)

    def images(self) -> tuple[Tensor, Tensor]:
        """Clean images, and a little brighter ones."""
        clean = self.situation.images
        return clean, (clean + 0.02).clamp(0, 1)

    def measured(self, classifier: TorchClassifier | None = None) -> dict[str, NDArray[Any]]:
        """What it measures of the images that it selects."""
        clean, adversarial = self.images()
        rows = self.selected()
        return self.probe.measure(classifier or self.situation.classifier(), clean[rows], adversarial[rows])

    def selected(self, *, labelled: bool = True) -> NDArray[np.intp]:
        """The places of the images that it selects, by their labels if it is given any."""
        labels = self.situation.labels().numpy() if labelled else None
        return np.asarray(self.probe.select(labels, len(self.situation.ids)))


@rule("arrays")
def arrays(case: ProbeCase) -> None:
    """It gives finite arrays by name, whose first axis is the images that it selected."""
    for each in case.every():
        told = each.situation.name
        try:
            found = each.measured()
        except (PluginError, ModelError):
            if each.situation == case.situation:
                raise
            continue  # it says itself for what it is not meant
        if not isinstance(found, dict) or not found:
            raise Broken(f"{told}: `measure` returns {type(found).__name__}, not a dict of arrays")
        for name, value in found.items():
            if not isinstance(value, np.ndarray) or value.dtype.kind not in "biuf":
                raise Broken(f"{told}: '{name}' is {type(value).__name__}, not an array of numbers")
            if len(value) != len(each.selected()):
                raise Broken(f"{told}: '{name}' has {len(value)} rows for {len(each.selected())} images")
            if not np.isfinite(value).all():
                raise Broken(f"{told}: '{name}' has numbers that are not finite")


@rule("selection")
def selection(case: ProbeCase) -> None:
    """It selects images that there are, each once, whatever their labels, and also without labels."""
    for each in case.every():
        count = len(each.situation.ids)
        for labelled in (True, False):
            told = each.situation.name if labelled else f"{each.situation.name}, without labels"
            rows = each.selected(labelled=labelled)
            if len(set(rows.tolist())) != len(rows) or not len(rows) or rows.min() < 0 or rows.max() >= count:
                raise Broken(f"{told}: `select` gives {rows.tolist()} of {count} images")


@rule("images and model untouched")
def untouched(case: ProbeCase) -> None:
    """It leaves the images and the model as they were."""
    classifier = case.situation.classifier()
    clean, adversarial = case.images()
    before, kept = snapshot(classifier), (clean.clone(), adversarial.clone())
    case.probe.measure(classifier, clean, adversarial)
    if any(not bool((now == then).all()) for now, then in zip((clean, adversarial), kept, strict=True)):
        raise Broken("has changed the images that it was given")
    after = snapshot(classifier)
    if changed := [name for name, value in before.items() if not np.array_equal(value, after[name])]:
        raise Broken(f"has changed {named(changed)}")


@rule("twice the same")
def twice(case: ProbeCase) -> None:
    """It measures the same every time."""
    first, again = case.measured(), case.measured()
    for name, value in first.items():
        if not np.array_equal(value, again[name]):
            raise Broken(f"'{name}' differs the second time")


RULES: tuple[Rule, ...] = (arrays, selection, untouched, twice)
