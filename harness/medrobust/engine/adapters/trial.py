"""One attack on the reference model: what it returned, what that is worth, and whether its own claims hold."""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
import time
import traceback
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Final, Literal

import torch
from torch import Tensor

from ...contracts import AnyAttack, Budget, BudgetSpec, Goal, predictions
from ...errors import MedrobustError, PluginError
from ...results.verdict import InvalidImagesError, norms, verify
from ..crafting.attack import run_attack
from ..numerics import global_seed, ieee_float32
from .reference import Reference

PATIENCE: Final = 20
"""How many times its limit of processor time an attack may take by the clock, on a machine that others use too."""
Status = Literal["ok", "invalid", "failed", "too slow", "excluded"]


@dataclass(frozen=True)
class Outcome:
    """What came of an attack.

    Attributes:
        status: `ok`, `invalid` (it left its budget), `failed` (it raised), `too slow`, or `excluded` (before the run).
        reason: why it is not ok, in its own words.
        accuracy: share of the images that are still classified correctly.
        passes: images passed forward and backward, for each image.
        seconds: of processor time, on one thread: what else the machine does makes no difference.
        claims: what its own words are worth: the size of what it returned, and its flags of success.
    """

    status: Status
    reason: str = ""
    accuracy: float | None = None
    passes: float | None = None
    seconds: float | None = None
    claims: str = ""


def require_forks() -> None:
    """Raise `MedrobustError` where processes cannot be forked, as on Windows: no attack can be tried there."""
    if "fork" not in multiprocessing.get_all_start_methods():
        raise MedrobustError("attacks are tried in forked processes, which are not to be had here; use Linux or macOS")


def attempt(attack: AnyAttack, reference: Reference, budget: BudgetSpec, limit: float) -> Outcome:
    """Run an attack in a process of its own, which is ended after `limit` seconds of processor time.

    The process is forked, so that it starts at once with everything loaded; whatever it does to itself stays there.
    """
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(theirs, attack, reference, budget, limit))
    process.start()
    theirs.close()
    slow = Outcome("too slow", f"does not end within {limit:g} s")
    try:
        if not ours.poll(PATIENCE * limit):
            return slow
        found = ours.recv()
        assert isinstance(found, Outcome)
        return found
    except EOFError:
        process.join(5)
        if process.exitcode == -signal.SIGXCPU:
            return slow
        return Outcome("failed", f"its process ended with exit code {process.exitcode}")
    finally:
        process.kill()
        process.join()
        ours.close()


def _child(pipe: Connection, attack: AnyAttack, reference: Reference, budget: BudgetSpec, limit: float) -> None:
    import resource  # as forks, on Linux and macOS only

    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(limit), math.ceil(limit) + 5))
    quiet = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):  # progress bars, and what compiled code prints
        os.dup2(quiet, stream)
    try:
        with ieee_float32():
            found = run_here(attack, reference, budget)
    except BaseException as error:  # noqa: BLE001 - whatever a library raises is its answer
        where = traceback.extract_tb(error.__traceback__)[-1]
        text = " ".join(str(error).split()) or f"raised at {where.name}, line {where.lineno}"
        told = text if isinstance(error, PluginError) else f"{type(error).__name__}: {text}"
        found = Outcome("failed", told[:300])
    pipe.send(found)
    pipe.close()


def run_here(attack: AnyAttack, reference: Reference, budget: BudgetSpec) -> Outcome:
    """Run an attack in this process and judge what it returns, as a run of a grid does."""
    classifier, images, resolved = reference.classifier(), reference.images, budget.resolve()
    goal, rng = reference.goal(attack), reference.rng()
    crafted: Any = getattr(attack, "crafted", None)
    began = time.process_time()
    with global_seed(rng.restarted().seed()):
        if crafted is not None:
            raw, made, success = crafted(classifier, images.clone(), goal, resolved)
        else:
            ((_, made),) = run_attack(attack, {None}, "full", [classifier], images.clone(), goal, resolved, rng)
            raw, success = made, None
    seconds = time.process_time() - began
    passes = (classifier.forward_passes + classifier.backward_passes) / len(images)
    try:
        verified = verify(made, images, resolved).images
    except InvalidImagesError as error:
        return Outcome("invalid", str(error), None, passes, seconds)
    with torch.no_grad():
        logits = reference.module(verified)
    searches = attack.threat.minimal
    claims = _claims(raw, success, goal, logits, images, resolved, searches=searches)
    accuracy = float((predictions(logits) == reference.labels).float().mean())
    return Outcome("ok", "", accuracy, passes, seconds, claims)


def _claims(
    raw: Tensor, success: Any, goal: Goal, logits: Tensor, images: Tensor, budget: Budget, *, searches: bool
) -> str:
    """What an attack says of itself beside what is measured."""
    told = []
    if budget.eps is not None and isinstance(raw, Tensor) and raw.shape == images.shape:
        size = norms(images, raw, budget.norm).of(budget.norm)
        beyond = int((size > budget.eps * (1 + 1e-5) + 1e-6).sum())
        if searches:
            told.append(f"finds {float(size.median()):.3g} (median), {len(images) - beyond} within")
        else:
            most = f"up to {float(size.max()):.3g}"
            told.append(f"{beyond} of {len(images)} beyond the radius, {most}" if beyond else "within")
    if isinstance(success, Tensor):
        apart = int((success.cpu().bool() != goal.reached(logits).cpu()).sum())
        told.append(f"flags wrong for {apart}" if apart else "flags right")
    return "; ".join(told)
