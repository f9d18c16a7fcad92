"""How attacks of ART are called; most of them by `generate` with images and labels."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import chdir, contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medrobust import Goal, PluginError, Targeted

from .art_facts import GUIDED, PATCHES

Images = NDArray[np.float32]
Call = Callable[[Any, Any, Images, Goal], Any]
"""Attack, plugin, images (n, c, h, w) and goal to adversarial images."""


def call_of(name: str) -> Call:
    """How the attack of that name is called."""
    return _CALLS.get(name, _generate)


def _labels(goal: Goal) -> NDArray[np.int64]:
    return goal.labels.cpu().numpy()


def _generate(attack: Any, plugin: Any, images: Images, goal: Goal) -> Any:
    return attack.generate(x=images, y=_labels(goal))


def _patch(attack: Any, plugin: Any, images: Images, goal: Goal) -> Any:
    labels = np.eye(attack.estimator.nb_classes, dtype=np.float32)[_labels(goal)]
    attack.generate(x=images, y=labels, reset_patch=True)
    return attack.apply_patch(images, scale=plugin.scale)


def _one_by_one(attack: Any, plugin: Any, images: Images, goal: Goal) -> Any:
    labels = _labels(goal)
    return np.concatenate([attack.generate(x=images[i : i + 1], y=labels[i : i + 1]) for i in range(len(images))])


def _one_hot(attack: Any, plugin: Any, images: Images, goal: Goal) -> Any:
    return attack.generate(x=images, y=np.eye(attack.estimator.nb_classes, dtype=np.float32)[_labels(goal)])


def _guided(attack: Any, plugin: Any, images: Images, goal: Goal) -> Any:
    return attack.generate(x=images, y=images[_guides(attack, images, goal)])


def _guides(attack: Any, images: Images, goal: Goal) -> NDArray[np.intp]:
    """For each image another one of its batch that is decided as the goal asks: as the target, or not as its label.

    Raises:
        PluginError: if no image of the batch is.
    """
    decided = attack.estimator.predict(images).argmax(axis=1)
    found = []
    for number, label in enumerate(_labels(goal)):
        fitting = decided == label if isinstance(goal, Targeted) else decided != label
        fitting[number] = False
        if not fitting.any():
            raise PluginError(
                f"{attack.__class__.__name__} draws an image towards another one of its batch, and no other image is "
                f"decided {'as' if isinstance(goal, Targeted) else 'otherwise than'} class {label}"
            )
        places = np.flatnonzero(fitting)
        found.append(places[np.argmin((places - number) % len(images))])  # the next one, from the first again
    return np.asarray(found)


def _unweighted(attack: Any, plugin: Any, images: Images, goal: Goal) -> Any:
    attack.fit_importances(importance_array=np.ones(images.shape[1]))  # no pixel matters more than another
    return _one_hot(attack, plugin, images, goal)


def _elsewhere(attack: Any, plugin: Any, images: Images, goal: Goal) -> Any:
    # It keeps its basis in a file of the working directory, which is somebody's.
    with tempfile.TemporaryDirectory(prefix="medrobust-art-") as folder, chdir(folder):
        return _one_hot(attack, plugin, images, goal)


@contextmanager
def matrices() -> Iterator[None]:
    """Some attacks use `np.mat`, which NumPy 2 no longer has."""
    lacking = not hasattr(np, "mat")
    if lacking:
        vars(np)["mat"] = np.asmatrix
    try:
        yield
    finally:
        if lacking:
            del vars(np)["mat"]


def _towards(attack: Any, plugin: Any, images: Images, goal: Goal) -> Any:
    labels = np.eye(attack.estimator.nb_classes, dtype=np.float32)[_labels(goal)]
    return attack.generate(x=images, y=labels, x_tar=images[_guides(attack, images, goal)])


_CALLS: Mapping[str, Call] = {
    **dict.fromkeys(sorted(PATCHES), _patch),
    **dict.fromkeys(sorted(GUIDED), _guided),
    "GRAPHITEBlackbox": _towards,
    "LowProFool": _unweighted,
    "GeoDA": _elsewhere,
    "SimBA": _one_hot,
    "ShadowAttack": _one_by_one,
    "TargetedUniversalPerturbation": _one_hot,
    "GRAPHITEWhiteboxPyTorch": _one_hot,
}
