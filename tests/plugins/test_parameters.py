"""Parameters of all bundled plugins: a value out of range is found when the grid is read, and the range is named."""

from __future__ import annotations

import dataclasses
import tomllib

import pytest

from medrobust import GridError
from medrobust.api import Registry, parse_grid
from medrobust.plugins.hints import alternatives, hints_of, without_range
from medrobust.plugins.ranges import range_of

BASE = {"dataset": '"phantom-derm"', "model": '"small-cnn"', "attack": '"fgsm"', "budget": '"linf:1/255"'}
ONE = "must be at least 1"
NONE = "must be at least 0"

MISTAKES = [
    ("attack", "fgsm", "draws = 0", f"draws: {ONE}, got 0"),
    ("attack", "bim", "steps = -1", f"steps: {ONE}, got -1"),
    ("attack", "pgd", "steps = [5, 0]", f"steps: {ONE}, got 0"),
    ("attack", "cw-linf", "steps = 0", f"steps: {ONE}, got 0"),
    ("attack", "cw-linf", "kappa = -0.5", f"kappa: {NONE}, got -0.5"),
    ("attack", "kovalev-pgd", "learning_rate = 0.0", "learning_rate: must be more than 0, got 0.0"),
    ("attack", "kovalev-pgd", 'clip = "image"', "clip: Input should be 'iterate' or 'gradient', got 'image'"),
    ("attack", "kovalev-pgd", 'clip = "gradient", learning_rate = 0.1', "20 steps with learning_rate = 0.1 may leave"),
    ("attack", "apgd", "steps = 0", f"steps: {ONE}, got 0"),
    ("attack", "apgd", "rank = -1", f"rank: {NONE}, got -1"),
    ("attack", "apgd", "schedule = 0", f"schedule: {ONE}, got 0"),
    ("attack", "fab-t", "rank = 0", f"rank: {ONE}, got 0"),
    ("attack", "square", "queries = 0", f"queries: {ONE}, got 0"),
    ("attack", "square", "start_share = 1.5", "start_share: must be more than 0 and at most 1, got 1.5"),
    ("attack", "deepfool", "candidates = 0", f"candidates: {ONE}, got 0"),
    ("attack", "fmn", "gamma = 1.0", "gamma: must be more than 0 and less than 1, got 1.0"),
    ("attack", "ddn", "first_radius = 0.0", "first_radius: must be more than 0, got 0.0"),
    ("attack", "cw-l2", "searches = 0", f"searches: {ONE}, got 0"),
    ("attack", "autoattack", "targets = 0", f"targets: {ONE}, got 0"),
    ("attack", "uap", "passes = 0", f"passes: {ONE}, got 0"),
    ("attack", "uap", "chunk_size = -1", f"chunk_size: {NONE}, got -1"),
    ("attack", "uap", "delta = 1.5", "delta: must be between 0 and 1, got 1.5"),
    ("attack", "sgd-uap", "epochs = 0", f"epochs: {ONE}, got 0"),
    ("attack", "sgd-uap", "clip = 0", "clip: must be more than 0, got 0"),
    ("attack", "shuffled", 'of = { name = "pgd", steps = 0 }', f"attack 'pgd': steps: {ONE}, got 0"),
    ("defense", "bit-depth", "bits = 9", "bits: must be between 1 and 8, got 9"),
    ("defense", "adversarial-training", 'attack = "fgsm", budget = "linf:8"', "did you mean 'linf:8/255'?"),
    ("defense", "adversarial-training", 'attack = "fgsm", budget = "linf:1/255", epochs = 0', f"epochs: {ONE}, got 0"),
    *(
        (
            "defense",
            "adversarial-retraining",
            f'attack = "uap", budget = "linf:1/255", {name} = 0',
            f"{name}: {ONE}, got 0",
        )
        for name in ("iterations", "perturbations", "epochs")
    ),
    ("model", "small-cnn", "width = 0", f"width: {ONE}, got 0"),
    ("model", "small-resnet", "instance = -1", f"instance: {NONE}, got -1"),
    ("model", "resnet18", "dropout = 1.0", "dropout: must be at least 0 and less than 1, got 1.0"),
    ("model", "resnet18", "hidden = -128", f"hidden: {NONE}, got -128"),
    ("model", "small-cnn", "recipe = { epochs = -1 }", f"recipe.epochs: {NONE}, got -1"),
    ("model", "small-cnn", "recipe = { batch_size = 0 }", f"recipe.batch_size: {ONE}, got 0"),
    ("model", "small-cnn", "recipe = { learning_rate = 0.0 }", "recipe.learning_rate: must be more than 0, got 0.0"),
    ("model", "small-cnn", "recipe = { momentum = 9.0 }", "recipe.momentum: must be between 0 and 1, got 9.0"),
    ("model", "small-cnn", "recipe = { milestones = [5, 0] }", f"recipe.milestones.1: {ONE}, got 0"),
    ("model", "small-cnn", 'recipe = { augment = ["hfilp"] }', "called 'hfilp'; did you mean 'hflip'?"),
    ("model", "small-cnn", 'recipe = { augment = ["hflip:2"] }', "'hflip:2': the amount must be between 0 and 1"),
    ("dataset", "phantom-fundus", "size = 512", "size: must be between 28 and 256, got 512"),
    ("dataset", "phantom-fundus", "seed = -1", f"seed: {NONE}, got -1"),
    ("dataset", "phantom-natural", "train = 0", f"train: {ONE}, got 0"),
    ("dataset", "phantom-cxr", "evidence = 65.0", "evidence: must be between 0 and 64, got 65.0"),
    ("dataset", "phantom-cxr", "classes = 5", "classes: Input should be 2, 3 or 4, got 5"),
    ("dataset", "phantom-derm", "classes = 3", "classes: Input should be 2 or 7, got 3"),
    ("dataset", "phantom-histology", "classes = 3", "classes: Input should be 2 or 4, got 3"),
    ("dataset", "image-folder", 'path = "x", size = 0', "size: must be between 8 and 4096, got 0"),
    ("dataset", "image-folder", 'path = "x", test = 1.0', "test: must be at least 0 and less than 1, got 1.0"),
    ("dataset", "image-folder", 'path = "x", center = 0.0', "center: must be more than 0 and at most 1, got 0.0"),
    ("dataset", "medmnist", "size = 32", "size: Input should be 28, 64, 128 or 224, got 32"),
    ("dataset", "cifar10", "val = -0.1", "val: must be at least 0 and less than 1, got -0.1"),
    ("probe", "examples", "per_class = 0", f"per_class: {ONE}, got 0"),
]


@pytest.fixture(scope="module")
def bundled() -> Registry:
    return Registry.discover(strict=True)


def grid(registry: Registry, axes: dict[str, str]) -> None:
    text = "[[grid]]\n" + "\n".join(f"{axis} = {value}" for axis, value in axes.items())
    parse_grid(tomllib.loads(text), registry, where="grid.toml")


@pytest.mark.parametrize(("axis", "name", "fields", "message"), MISTAKES, ids=[f"{m[1]} {m[2]}" for m in MISTAKES])
def test_a_value_out_of_range_is_named_with_file_key_and_range(
    bundled: Registry, axis: str, name: str, fields: str, message: str
) -> None:
    with pytest.raises(GridError) as caught:
        grid(bundled, {**BASE, axis: f'{{ name = "{name}", {fields} }}'})
    assert str(caught.value).startswith(f"grid.toml: grid[0].{axis}: ")
    assert message in str(caught.value)


def test_every_number_of_a_bundled_plugin_has_its_range(bundled: Registry) -> None:
    """A number without a range is one that somebody will set to -1."""
    without = {
        f"{offer.name}.{field.name}"
        for offer in bundled.offers()
        for field in dataclasses.fields(offer.plugin)  # type: ignore[arg-type]
        if any(without_range(each) in (int, float) for each in alternatives(hints_of(offer.plugin)[field.name]))
        and range_of(hints_of(offer.plugin)[field.name]) is None
    }
    assert without == set()


def test_every_bundled_attack_defense_and_model_says_what_to_cite(bundled: Registry) -> None:
    ours = {"none", "noise", "rounded", "worst-case", "small-cnn", "examples", "feature-maps", "image-folder"}
    for offer in bundled.offers():
        if offer.name not in ours and not offer.name.startswith("phantom-"):
            assert offer.references, offer.qualified
        for reference in offer.references:
            assert reference.authors
            assert 1990 < reference.year < 2030
            assert reference.title
            assert reference.venue
    (architecture,) = [o for o in bundled.offers("model") if o.name == "efficientnet_v2_s"]
    assert [r.year for r in architecture.references] == [2021, 2016]
