"""The checks on records, on outcomes made by hand: what passes, what is flagged, and by which numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from medrobust.api import Record
from medrobust.results.evidence import ADVICE, LEVEL, Check, Trial, badge, evidence, stronger

IMAGES = 100
HONEST: dict[str, Any] = {
    "images": 64,
    "zero_gradient": 0.0,
    "bad_gradient": 0.0,
    "noise": 0.0,
    "probabilities": False,
    "declared_random": False,
    "batch": 0.0,
    "scale": None,
}


def record(kept: int, *, first: int = 0, right: int = IMAGES, moved: bool = True, change: float = 0.0) -> Record:
    """`right` images are right when clean; of them `kept` stay so, counted from number `first` on."""
    numbers = np.arange(IMAGES)
    clean = np.where(numbers < right, 5.0, -5.0).astype(np.float32)
    stays = ((numbers - first) % IMAGES < kept) & (numbers < right)
    adversarial = np.where(stays, 5.0, -5.0).astype(np.float32) + np.float32(change)
    norm = np.full(IMAGES, 0.01 if moved else 0.0, np.float32)
    logits = (np.stack([x, -x], axis=1) for x in (clean, adversarial))
    labels = np.zeros(IMAGES, dtype=np.int64)
    return Record("multiclass", np.array([f"i{n}" for n in numbers]), labels, *logits, norm, norm)


def trial(kept: int, eps: float = 8.0, attack: str = "pgd", **fields: Any) -> Trial:
    made = {"control": False, "white_box": True, "iterations": 20, "large": False, **fields}
    own = {k: made.pop(k) for k in ("first", "right", "moved", "change") if k in made}
    return Trial(attack=attack, eps=eps / 255, record=record(kept, **own), **made)


def noise(kept: int, eps: float = 8.0) -> Trial:
    return trial(kept, eps, "noise", control=True, iterations=0)


def check(name: str, trials: list[Trial], diagnosis: dict[str, Any] | None = None) -> Check:
    return {c.name: c for c in evidence(trials, diagnosis)}[name]


def outcome(name: str, *trials: Trial, **diagnosis: Any) -> str:
    return check(name, list(trials), {**HONEST, **diagnosis}).outcome


LADDER = [
    trial(100, 0, change=0.0),
    trial(80, 1),
    trial(40, 4),
    trial(5, 8),
    trial(0, 127.5, large=True),
    trial(60, 4, "fgsm", iterations=1),
    trial(70, 4, "pgd", white_box=False),
    noise(99, 4),
    noise(98, 8),
]


def test_an_honest_ladder_passes_every_check() -> None:
    checks = evidence(LADDER, HONEST)
    assert [(c.name, c.outcome) for c in checks] == [(name, "passed") for name in ADVICE]
    assert all(c.advice == "" for c in checks)
    assert badge(checks) == f"{len(ADVICE)} of {len(ADVICE)} checks passed"


def test_without_cells_nothing_is_claimed() -> None:
    checks = evidence([], None)
    assert {c.outcome for c in checks} == {"not checked"}
    assert badge(checks) == f"0 of 0 checks passed, {len(ADVICE)} not checked"
    assert "`medrobust run` adds it, unless told --no-evidence" in check("the attack beats noise", []).detail


def test_a_flag_comes_with_numbers_and_advice() -> None:
    flagged = check("robust accuracy does not rise with eps", [trial(40, 4), trial(80, 8)])
    assert flagged.outcome == "flagged"
    assert flagged.detail == "pgd at 8/255 leaves 80.0% correct, pgd at 4/255 only 40.0%"
    assert flagged.advice == ADVICE[flagged.name]
    line = badge([flagged, Check("outputs are logits", "passed")])
    assert line == "1 of 2 checks passed; FLAGGED: robust accuracy does not rise with eps"


def test_the_paired_test_is_mcnemars() -> None:
    # 20 images that only the second loses, 5 that only the first loses.
    first, second = trial(80, first=0), trial(65, first=20)
    assert stronger(second, first) == pytest.approx(stats.binomtest(20, 25, 0.5, alternative="greater").pvalue)
    assert stronger(first, second) == stats.binomtest(5, 25, 0.5, alternative="greater").pvalue
    assert stronger(first, first) == 1.0


def test_only_shared_images_are_compared() -> None:
    second = trial(0)
    few = Trial("pgd", 0.1, False, True, 20, Record(**{**vars(second.record), **_half(second.record)}))
    assert stronger(few, trial(100)) == pytest.approx(stats.binomtest(50, 50, 0.5, alternative="greater").pvalue)


def _half(whole: Record) -> dict[str, Any]:
    return {k: getattr(whole, k)[::2] for k in ("ids", "labels", "clean", "adversarial", "l2", "linf")}


def test_images_wrong_when_clean_say_nothing_of_robustness() -> None:
    assert trial(10, right=40).share == pytest.approx(0.25)
    assert trial(0, right=0).share == 0.0


@pytest.mark.parametrize(
    ("change", "options", "expected"),
    [
        (0.0, {}, "passed"),
        (1e-4, {}, "passed"),
        (0.1, {}, "flagged"),
        (0.1, {"declared_random": True, "noise": 0.01}, "passed"),
        (2.0, {"declared_random": True, "noise": 0.01}, "flagged"),
        (0.1, {"declared_random": False, "noise": 0.01}, "flagged"),
    ],
)
def test_a_radius_of_zero_changes_nothing(change: float, options: dict[str, Any], expected: str) -> None:
    assert outcome("eps 0 equals clean", trial(100, 0, change=change), **options) == expected


@pytest.mark.parametrize(
    ("trials", "expected"),
    [
        ([trial(80, 1), trial(40, 4), trial(40, 8)], "passed"),
        ([trial(40, 4), trial(42, 8)], "passed"),  # not more than chance
        ([trial(80, 8), trial(40, 4)], "flagged"),
        ([trial(40, 4), trial(80, 8, "pgd, predicted")], "not checked"),  # two series
        ([trial(40, 4), trial(80, 4)], "not checked"),  # one radius
        ([trial(40, 4, white_box=False), trial(80, 8, white_box=False)], "not checked"),
    ],
    ids=["falls", "chance", "rises", "other goal", "same radius", "transfer"],
)
def test_robust_accuracy_falls_with_eps(trials: list[Trial], expected: str) -> None:
    assert outcome("robust accuracy does not rise with eps", *trials) == expected


@pytest.mark.parametrize(
    ("trials", "expected"),
    [
        ([trial(5, 127.5, large=True)], "passed"),
        ([trial(6, 127.5, large=True)], "flagged"),
        ([trial(6, 127.5, large=True), trial(0, 127.5, "cw", large=True)], "passed"),
        ([trial(60, 127.5, "fgsm", iterations=1, large=True)], "not checked"),
        ([noise(60, 127.5), trial(20, 16)], "not checked"),
    ],
    ids=["reached", "not reached", "by one attack", "single step", "no cell"],
)
def test_a_very_large_radius_breaks_everything(trials: list[Trial], expected: str) -> None:
    assert outcome("a very large eps reaches about zero", *trials) == expected


def test_the_best_iterative_attack_is_held_against_the_best_single_step() -> None:
    name = "iterative at least as strong as single-step"
    single = trial(40, attack="fgsm", iterations=1)
    assert outcome(name, trial(60), single) == "flagged"
    assert outcome(name, trial(60), trial(38, attack="bim"), single) == "passed"
    assert outcome(name, trial(60, 4), single) == "not checked"
    # Short steps may miss at one radius what a long one crosses; gradients that mislead do so at the largest as well.
    ladder = (trial(60, 4), trial(40, 4, "fgsm", iterations=1))
    assert outcome(name, *ladder, trial(5, 16), trial(7, 16, "fgsm", iterations=1)) == "passed"
    assert outcome(name, *ladder, trial(50, 16), trial(20, 16, "fgsm", iterations=1)) == "flagged"
    assert outcome(name, trial(60, attack="square", iterations=0), single) == "not checked"
    assert outcome(name, trial(0, 0), trial(100, 0, "fgsm", iterations=1)) == "not checked"


def test_a_transfer_attack_is_no_stronger_than_one_that_sees_the_model() -> None:
    name = "white-box at least as strong as transfer"
    assert outcome(name, trial(60), trial(30, white_box=False)) == "flagged"
    assert outcome(name, trial(60), trial(59, white_box=False)) == "passed"
    assert outcome(name, trial(60), noise(0)) == "not checked"


def test_an_attack_does_more_than_noise() -> None:
    name = "the attack beats noise"
    assert outcome(name, trial(60), noise(99)) == "passed"
    assert outcome(name, trial(98), noise(99)) == "undecided"
    assert outcome(name, trial(99), noise(60)) == "flagged"
    assert outcome(name, trial(99), trial(50, attack="cw"), noise(60)) == "passed"
    assert outcome(name, trial(60)) == "not checked"
    found = check(name, [trial(100, 1), trial(50, 4), noise(100, 1), noise(100, 4)])
    assert found.detail == "at 1 of 2 radii, from 4/255 on"


def test_an_attack_that_changes_no_image_is_flagged_without_noise() -> None:
    name = "the attack beats noise"
    idle = trial(100, attack="idle", moved=False)
    assert check(name, [idle, trial(10)]).detail == "idle at 8/255 changes no image"
    assert outcome(name, idle) == "flagged"
    assert outcome(name, trial(100, 0, moved=False)) == "not checked"
    # Where every image was wrong when clean, an attack that stops at success has nothing to change.
    assert outcome(name, trial(0, right=0, moved=False)) == "not checked"


@pytest.mark.parametrize(
    ("name", "diagnosis", "expected"),
    [
        ("gradients are neither zero nor NaN", {"zero_gradient": 0.1}, "passed"),
        ("gradients are neither zero nor NaN", {"zero_gradient": 0.2}, "flagged"),
        ("gradients are neither zero nor NaN", {"bad_gradient": 0.01}, "flagged"),
        ("forward passes are deterministic", {"noise": 1e-7}, "passed"),
        ("forward passes are deterministic", {"noise": 1e-3}, "flagged"),
        ("forward passes are deterministic", {"noise": 1e-3, "declared_random": True}, "passed"),
        ("outputs are logits", {"probabilities": True}, "flagged"),
    ],
)
def test_what_was_seen_of_the_model(name: str, diagnosis: dict[str, Any], expected: str) -> None:
    assert outcome(name, **diagnosis) == expected


def test_chance_flags_an_honest_model_rarely() -> None:
    generator = np.random.default_rng(0)
    numbers = np.arange(IMAGES)
    flags = 0
    for _ in range(400):
        pair = []
        for _ in range(2):
            kept = generator.random(IMAGES) < 0.5
            logits = np.stack([np.where(kept, 5.0, -5.0), np.where(kept, -5.0, 5.0)], axis=1).astype(np.float32)
            base = record(100)
            ids = np.array([f"i{n}" for n in numbers])
            made = Record("multiclass", ids, base.labels, base.clean, logits, base.l2, base.linf)
            pair.append(Trial("pgd", 0.1, False, True, 20, made))
        flags += stronger(*pair) < LEVEL
    assert flags <= 400 * LEVEL + 3 * (400 * LEVEL) ** 0.5
