"""The Python way: plan and run grids, read stores, compute metrics and statistics.

A session has a store, the plugins and the hardware:

    from medrobust.api import Session

    session = Session(Path("store"))
    plan = session.plan(Path("grid.toml"))
    session.run(plan)
    for cell, record in session.store.records(plan.cells):
        print(plan.cells[cell].describe(), measure("accuracy", record).value)
"""

from ..contracts import AXES
from ..engine.acceleration import Acceleration
from ..engine.evidence import EVIDENCE_COLUMNS, evidence_on
from ..engine.running.cluster import Dask
from ..engine.running.executors import Workers
from ..engine.running.progress import Terminal, human_time
from ..engine.session import Outcome, Session
from ..engine.superseded import reasons_in_words, superseded_reasons
from ..engine.verification import Verification, draw_cells, verify_cells
from ..errors import did_you_mean
from ..grid.blocks import Grid
from ..grid.cells import Cell
from ..grid.differences import distinguish
from ..grid.plan import Entry, Plan
from ..grid.reader import parse_grid, read_grid
from ..grid.written import grid_text
from ..judging.judge import JudgeOptions, judge
from ..judging.judgement import Fault, Judgement, Picture, Result, Share
from ..judging.named import judge_named
from ..plugins.description import PluginDescription, describe_plugin
from ..plugins.in_memory import image_data
from ..plugins.recorded import recorded_plugins
from ..plugins.registered import RegisteredPlugin
from ..plugins.registry import Registry
from ..results.filters import parse_where
from ..results.inventory import Inventory
from ..results.losses import Losses, check_files, losses
from ..results.lost import NO_RECORD
from ..results.metrics import CONFIDENCE_BINS, METRICS, compare, measure, metric, radii
from ..results.outcomes import correct
from ..results.publication import Publication
from ..results.record import Record
from ..results.statistics import (
    Comparison,
    Value,
    bootstrap,
    holm,
    mean_of,
    over_seeds,
    paired_bootstrap,
    paired_rates,
    percentiles,
    rank_intervals,
    ranks,
    rate,
    resampled,
    stays_robust,
    worst_case,
)
from ..results.store import Store

__all__ = [
    "AXES",
    "CONFIDENCE_BINS",
    "EVIDENCE_COLUMNS",
    "METRICS",
    "NO_RECORD",
    "Acceleration",
    "Cell",
    "Comparison",
    "Dask",
    "Entry",
    "Fault",
    "Grid",
    "Inventory",
    "JudgeOptions",
    "Judgement",
    "Losses",
    "Outcome",
    "Picture",
    "Plan",
    "PluginDescription",
    "Publication",
    "Record",
    "RegisteredPlugin",
    "Registry",
    "Result",
    "Session",
    "Share",
    "Store",
    "Terminal",
    "Value",
    "Verification",
    "Workers",
    "bootstrap",
    "check_files",
    "compare",
    "correct",
    "describe_plugin",
    "did_you_mean",
    "distinguish",
    "draw_cells",
    "evidence_on",
    "grid_text",
    "holm",
    "human_time",
    "image_data",
    "judge",
    "judge_named",
    "losses",
    "mean_of",
    "measure",
    "metric",
    "over_seeds",
    "paired_bootstrap",
    "paired_rates",
    "parse_grid",
    "parse_where",
    "percentiles",
    "radii",
    "rank_intervals",
    "ranks",
    "rate",
    "read_grid",
    "reasons_in_words",
    "recorded_plugins",
    "resampled",
    "stays_robust",
    "superseded_reasons",
    "verify_cells",
    "worst_case",
]
