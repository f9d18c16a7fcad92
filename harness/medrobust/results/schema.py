"""The tables of a store and the types of their columns."""

from __future__ import annotations

import pyarrow as pa

from ..contracts import AXES, TRAINED

VERSION = 3
"""Version of the schema; a store of another version is refused, not guessed at."""

CELLS = pa.schema(
    [
        pa.field("cell", pa.string(), nullable=False),
        *(pa.field(axis, pa.string()) for axis in AXES),
        pa.field("architecture", pa.string()),  # the model without its parameters
        pa.field("init", pa.string()),  # random, imagenet, the file of a checkpoint, or the images of a pre-training
        *(pa.field(f"surrogate_{name}", pa.string()) for name in TRAINED),  # empty in a white-box setting
        pa.field("status", pa.string(), nullable=False),  # ok, invalid, failed
        pa.field("reason", pa.string()),
        pa.field("task", pa.string()),
        pa.field("classes", pa.list_(pa.string())),
        pa.field("clean", pa.string()),  # identity of the clean record
        pa.field("target", pa.string()),
        pa.field("source", pa.string()),  # identity of the model that the attack sees: the target or a surrogate
        pa.field("target_class", pa.int32()),  # index of the class a targeted attack asked for
        pa.field("norm", pa.string()),
        pa.field("eps", pa.float64()),  # resolved radius, pixels in [0, 1]
        pa.field("control", pa.bool_()),  # whether the attack knows nothing of the model
        pa.field("white_box", pa.bool_()),
        pa.field("iterations", pa.int32()),  # of the attack; 1 for a single step
        pa.field("diagnosis", pa.string()),  # JSON, of clean cells: see engine.diagnose
        pa.field("stop", pa.string()),
        pa.field("images", pa.int64()),
        pa.field("batch_size", pa.int32()),
        pa.field("draws", pa.int32()),  # verdicts on each image; more than one of a random model
        pa.field("seconds", pa.float64()),  # this cell's share of its step
        pa.field("forward_passes", pa.int64()),
        pa.field("backward_passes", pa.int64()),
        pa.field("peak_memory", pa.int64()),  # bytes, of the process (CPU) or the device (CUDA)
        pa.field("part", pa.string()),
        pa.field("slot", pa.string()),  # equal for cells that a grid describes alike, whatever code and files say
        pa.field("weights", pa.list_(pa.string())),  # identities of all weights it rests on
        pa.field("perturbation", pa.string()),  # identity, of a universal attack
        pa.field("made_from", pa.list_(pa.string())),  # identity=content of what it was computed with; see lost.py
        pa.field("samples", pa.string()),  # the key of its samples; null where it has none
        pa.field("step", pa.string()),
        pa.field("identity", pa.string()),  # JSON of everything the identity rests on
        pa.field("definition", pa.string()),  # JSON, as a grid writes the cell: from it the cell comes back
        pa.field("versions", pa.string()),  # JSON
        pa.field("hardware", pa.string()),
        pa.field("created", pa.timestamp("us", tz="UTC")),
    ]
)

SAMPLES = pa.schema(
    [
        pa.field("record", pa.dictionary(pa.int32(), pa.string()), nullable=False),  # `samples` of the cell's row
        pa.field("sample", pa.string(), nullable=False),
        pa.field("group", pa.string()),
        pa.field("label", pa.list_(pa.int32())),  # one index, a 0/1 vector (multi-label), or null
        pa.field("logits", pa.list_(pa.float32()), nullable=False),
        pa.field("more_logits", pa.list_(pa.float32())),  # of further draws of a random model, one after the other
        pa.field("l2", pa.float32()),
        pa.field("linf", pa.float32()),
        pa.field("l1", pa.float32()),  # null unless the budget is about it
        pa.field("l0", pa.float32()),  # number of values that changed; null unless the budget is about it
        pa.field("clean_score", pa.float64()),  # of a detector; null where there is none, or for what it learned from
        pa.field("score", pa.float64()),  # the same of the adversarial image
    ]
)

FITS = pa.schema(
    [
        pa.field("fit", pa.string(), nullable=False),
        pa.field("weights", pa.string(), nullable=False),  # content hash
        pa.field("model", pa.string()),
        pa.field("dataset", pa.string()),
        pa.field("history", pa.string()),  # JSON, one object an epoch
        pa.field("seconds", pa.float64()),
        pa.field("identity", pa.string()),
        pa.field("versions", pa.string()),
        pa.field("hardware", pa.string()),
        pa.field("created", pa.timestamp("us", tz="UTC")),
    ]
)

PARTS = pa.schema(
    [
        pa.field("part", pa.string(), nullable=False),
        pa.field("dataset", pa.string()),
        pa.field("fingerprint", pa.string()),  # hash of ids, labels and pixels
        pa.field("slice", pa.string()),
        pa.field("class", pa.string()),
        pa.field("images", pa.int64()),
        pa.field("groups", pa.int64()),  # null where groups are unknown
        pa.field("shared_groups", pa.string()),  # in words: groups that other splits have too, by the data's own say
    ]
)

ARTIFACTS = pa.schema(
    [
        pa.field("artifact", pa.string(), nullable=False),  # identity
        pa.field("kind", pa.string()),
        pa.field("content", pa.string()),  # content hash
        pa.field("made_from", pa.list_(pa.string())),  # as of cells
        pa.field("description", pa.string()),
        pa.field("created", pa.timestamp("us", tz="UTC")),
    ]
)

EVIDENCE = pa.schema(
    [
        pa.field("target", pa.string(), nullable=False),
        pa.field("dataset", pa.string()),
        pa.field("model", pa.string()),
        pa.field("defense", pa.string()),
        pa.field("seed", pa.string()),
        pa.field("norm", pa.string()),
        pa.field("part", pa.string()),
        pa.field("check", pa.string()),
        pa.field("outcome", pa.string()),
        pa.field("detail", pa.string()),
        pa.field("advice", pa.string()),
    ]
)

REQUESTS = pa.schema(
    [
        pa.field("request", pa.string(), nullable=False),  # hash of what was asked for; asked again, its time is new
        pa.field("position", pa.int32()),  # place in the grid
        pa.field("grid", pa.string()),  # name of the grid, with its profile
        pa.field("command", pa.string()),  # as it was typed, without --store; null where a program asked
        pa.field("cell", pa.string()),  # null where the combination is impossible here
        pa.field("reason", pa.string()),  # why it is impossible
        pa.field("slot", pa.string()),
        pa.field("clean", pa.string()),  # identity of the clean record
        pa.field("weights", pa.list_(pa.string())),  # identities of all weights it rests on or may go on from
        pa.field("perturbation", pa.string()),  # identity, of a universal attack
        pa.field("probes", pa.list_(pa.string())),  # identities of what is measured of the cell beside its record
        *(pa.field(axis, pa.string()) for axis in AXES),  # labels, as the grid has them
        pa.field("tags", pa.string()),  # JSON
        pa.field("created", pa.timestamp("us", tz="UTC")),
    ]
)

TABLES = {
    "cells": CELLS,
    "samples": SAMPLES,
    "fits": FITS,
    "parts": PARTS,
    "artifacts": ARTIFACTS,
    "evidence": EVIDENCE,
    "requests": REQUESTS,
}
ADDED = {"samples": ("clean_score", "score", "l1", "l0")}
"""Columns that files of earlier programs lack; they are read as absent values."""
KEYS = {"cells": "cell", "samples": "record", "fits": "fit", "parts": "part", "artifacts": "artifact"}
