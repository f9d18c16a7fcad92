"""Figures of what probes measured: which images they show, where they stand, and that they show what was stored."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from medrobust import MedrobustError
from medrobust.api import Record, Session
from medrobust_leaderboard.figure_data import draw_figures, image_tiles
from medrobust_leaderboard.figure_data.measured import scatter_panels, surface_panels
from medrobust_leaderboard.figure_specs import ImagesSpec, ScatterSpec, SurfacesSpec
from medrobust_leaderboard.report import PaperReport
from medrobust_leaderboard.specs import read_paper

GRID = """
[define]
scans = { name = "textures", classes = 3 }
wide = { name = "textures", classes = 3, channels = 3 }
net = "tiny-net"
maps = { name = "feature-maps", per_class = 2, layer = "convolution" }
pictures = [
    { name = "examples", per_class = 2 },
    { name = "saliency", per_class = 2 },
    { name = "grad-cam", per_class = 2 },
]
points = { name = "t-sne", images = 9 }

[[grid]]
dataset = ["@scans", "@wide"]
model = "@net"
attack = ["sign", "hum"]
budget = "linf:16/255"
probe = ["@pictures", "@maps", "@points"]

[[grid]]
dataset = ["@scans", "@wide"]
model = "@net"
attack = "sign"
surrogate = { instance = "other" }
budget = "linf:1/255 box=none"
probe = ["examples", { name = "loss-surface", points = 3 }]
"""

FIGURES = """
[[figure]]
id = "classes"
title = "Classes"
kind = "images"
rows = ["dataset"]
columns = ["example"]
show = ["clean"]
examples = 6
below = "class"
where = { attack = "sign", surrogate = "target" }

[[figure]]
id = "maps"
title = "Maps"
kind = "images"
rows = ["show"]
columns = ["dataset", "example"]
show = ["clean", "saliency.clean", "maps.clean", "maps.change"]
examples = 2
right_first = true
limits = { saliency = [0, 0.5] }
names = { show = { "maps.clean" = "Mean map" } }
where = { attack = "sign", surrogate = "target" }

[[figure]]
id = "attention"
title = "Attention"
caption = "Where it looks."
kind = "images"
rows = ["dataset"]
show = ["grad-cam.clean", "grad-cam.adversarial"]
overlay = true
mark = true
where = { attack = "sign", surrogate = "target" }

[[figure]]
id = "surfaces"
title = "Surfaces"
kind = "surfaces"
columns = ["dataset"]
examples = 2
where = { attack = "sign", surrogate = "instance=other" }

[[figure]]
id = "points"
title = "Points"
kind = "scatter"
rows = ["dataset"]
columns = ["attack"]
where = { attack = ["sign", "hum"], surrogate = "target" }
"""


@pytest.fixture(scope="module")
def report(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> PaperReport:
    folder = tmp_path_factory.mktemp("papers") / "paper2025"
    folder.mkdir()
    (folder / "grid.toml").write_text(GRID)
    (folder / "tables.toml").write_text("")
    (folder / "figures.toml").write_text(FIGURES)
    session = Session(tmp_path_factory.mktemp("run") / "store", (tiny,), workers=1)
    plan = session.plan(folder / "grid.toml")
    outcome = session.run(plan)
    assert outcome.complete, outcome.problems
    return PaperReport(read_paper(folder), "", plan, session.store)


def spec(report: PaperReport, id_: str) -> Any:
    return next(s for s in report.paper.figures if s.id == id_)


def measured(report: PaperReport, probe: str, dataset: str = "scans", attack: str = "sign") -> dict[str, Any]:
    """What a probe kept of a white-box cell."""
    for each in report.rows:
        labels = (each.row["dataset"], each.row["attack"], each.row["surrogate"])
        if each.entry.cell is None or labels != (dataset, attack, "target"):
            continue
        for found in each.entry.probes:
            if probe in (found.label, found.offer.name):
                kept = report.store.load_tensors(report.store.artifact(each.entry.cell.probe_id(found)))
                return {name: tensor.numpy() for name, tensor in kept.items()}
    raise AssertionError(probe)


def record(report: PaperReport, dataset: str = "scans") -> Record:
    wanted = {"dataset": dataset, "attack": "sign", "surrogate": "target"}
    cells = [s.cell for s in report.rows if s.cell and all(s.row[a] == v for a, v in wanted.items())]
    ((_, found),) = report.store.records(dict.fromkeys(cells))
    return found


def test_examples_can_stand_beside_each_other_above_their_class(report: PaperReport) -> None:
    labels, tiles = image_tiles(report, spec(report, "classes"))
    assert labels == ["scans", "wide"]
    assert [[t.caption for t in row if t] for row in tiles] == [["a", "a", "b", "b", "c", "c"]] * 2
    kept = measured(report, "examples")["clean"]
    for number, tile in enumerate(tiles[0]):
        assert tile is not None
        np.testing.assert_array_equal(tile.pixels[..., 0], kept[number, 0])


def test_so_many_of_each_class_are_shown(report: PaperReport) -> None:
    given = replace(spec(report, "classes"), of_each_class=1, examples=4)
    _, tiles = image_tiles(report, given)
    assert [[t and t.caption for t in row] for row in tiles] == [["a", "b", "c", None]] * 2


def test_a_scale_is_that_of_the_maps_shown(report: PaperReport) -> None:
    given = replace(spec(report, "maps"), show=["maps.clean", "maps.adversarial"], limits={})
    _, tiles = image_tiles(report, given)
    clean, adversarial = tiles[0][0], tiles[1][0]
    assert clean is not None
    assert adversarial is not None
    ends = (min(clean.pixels.min(), adversarial.pixels.min()), max(clean.pixels.max(), adversarial.pixels.max()))
    assert clean.limits == adversarial.limits == pytest.approx(ends)
    assert clean.caption == f"{ends[0]:.2g} to {ends[1]:.2g}"


def test_what_is_shown_can_stand_below_each_other(report: PaperReport) -> None:
    labels, tiles = image_tiles(report, spec(report, "maps"))
    assert labels == ["clean", "saliency.clean", "Mean map", "maps.change"]
    assert [t.title for t in tiles[0] if t] == ["scans", "scans", "wide", "wide"]
    assert [next(t.kind for t in row if t) for row in tiles] == ["image", "map", "map", "change"]
    saliency, maps = measured(report, "saliency"), measured(report, "maps")
    shown = record(report)
    first = next(i for i, p in enumerate(maps["positions"]) if shown.clean[p].argmax() == shown.labels[p])
    column = [row[0] for row in tiles]
    assert all(tile is not None for tile in column)
    np.testing.assert_array_equal(column[1].pixels, saliency["clean"][first])
    np.testing.assert_array_equal(column[2].pixels, maps["clean"][first])
    np.testing.assert_array_equal(column[3].pixels, maps["adversarial"][first] - maps["clean"][first])
    assert column[1].limits == (0, 0.5)
    assert column[2].limits == (maps["clean"][first].min(), maps["clean"][first].max())
    most = abs(maps["adversarial"][first] - maps["clean"][first]).max()
    assert column[3].limits == (-most, most)
    assert [tile.caption for tile in column[1:]][::2] == ["0 to 0.5", f"±{most:.2g}"]


def test_examples_that_are_decided_rightly_come_first_each_of_another_class(report: PaperReport) -> None:
    given = replace(spec(report, "maps"), examples=6, show=["clean"], rows=[], columns=["dataset", "example"])
    _, (line,) = image_tiles(report, given)
    kept, found = measured(report, "examples"), record(report)
    right = [found.clean[p].argmax() == found.labels[p] for p in kept["positions"]]
    shown = [
        next(i for i in range(6) if np.array_equal(kept["clean"][i], np.moveaxis(t.pixels, -1, 0)))
        for t in line[:6]
        if t
    ]
    assert [right[i] for i in shown] == sorted(right, reverse=True)
    classes = [int(found.labels[kept["positions"][i]]) for i in shown if right[i]]
    # In turns: no class comes again before every other that has one left.
    assert classes[: len(set(classes))] == sorted(set(classes))


def test_maps_lie_over_their_images_with_the_decision_below(report: PaperReport) -> None:
    _, tiles = image_tiles(report, spec(report, "attention"))
    found, kept = record(report), measured(report, "grad-cam")
    position = kept["positions"][0]
    for tile, name, logits in zip(tiles[0], ("clean", "adversarial"), (found.clean, found.adversarial), strict=True):
        assert tile is not None
        assert tile.under is not None
        assert tile.under.shape == (8, 8, 1)
        np.testing.assert_array_equal(tile.pixels, kept[name][0])
        assert tile.caption == "abc"[int(logits[position].argmax())]
        assert tile.right == (logits[position].argmax() == found.labels[position])


def test_surfaces_stand_below_the_images_that_they_lie_around(report: PaperReport) -> None:
    given = spec(report, "surfaces")
    assert isinstance(given, SurfacesSpec)
    panels = surface_panels(report, given)
    assert [panel.image.title for panel in panels] == ["scans", "scans", "wide", "wide"]
    assert all(panel.z.shape == (3, 3) for panel in panels)
    assert panels[0].x.tolist() == pytest.approx([0, 4, 8])
    # At the corner is the loss of the clean image: that of a decision, so at most log 3.
    assert all(0 <= panel.z[0, 0] <= np.log(3) + 1e-6 for panel in panels)


def test_points_are_the_places_that_were_stored(report: PaperReport) -> None:
    given = spec(report, "points")
    assert isinstance(given, ScatterSpec)
    rows = scatter_panels(report, given)
    assert [[(p.row, p.column) for p in row if p] for row in rows] == [
        [("scans", "sign"), ("scans", "hum")],
        [("wide", "sign"), ("wide", "hum")],
    ]
    for attack, panel in zip(("sign", "hum"), rows[0], strict=True):
        assert panel is not None
        kept = measured(report, "t-sne", attack=attack)
        for name in ("clean", "adversarial"):
            np.testing.assert_array_equal(panel.groups[name], kept[name])


@pytest.mark.long
def test_figures_are_written_with_their_data_and_name_their_layers(report: PaperReport, tmp_path: Path) -> None:
    drawn = {each.spec.id: each for each in draw_figures(report, tmp_path)}
    assert list(drawn) == ["classes", "maps", "attention", "surfaces", "points"]
    lines = {}
    for id_, each in drawn.items():
        assert each.saved is not None
        with Image.open(each.saved.png) as image:
            assert min(image.size) > 100
        with each.saved.csv.open(newline="") as stream:
            lines[id_] = list(csv.DictReader(stream))
    assert drawn["maps"].spec.caption == "Mean map: layer convolution."
    assert drawn["attention"].spec.caption == "Where it looks. grad-cam.clean: layer convolution."
    assert drawn["points"].spec.caption == "t-sne: layer penultimate."
    assert len(lines["surfaces"]) == 4 * 9
    assert len(lines["points"]) == 4 * 2 * 9
    before = {each.saved.png: each.saved.png.stat().st_mtime_ns for each in drawn.values() if each.saved}
    draw_figures(report, tmp_path)
    assert all(png.stat().st_mtime_ns == time for png, time in before.items())


def test_a_probe_that_the_grid_does_not_ask_for_is_told(report: PaperReport) -> None:
    given = replace(spec(report, "attention"), show=["gradcam.clean"])
    with pytest.raises(MedrobustError, match=r"its cells have no probe 'gradcam'; did you mean 'grad-cam'"):
        image_tiles(report, given)


def test_what_is_shown_is_checked_when_figures_are_read(report: PaperReport, tmp_path: Path) -> None:
    text = FIGURES.replace('"maps.change"', '"maps"')
    (tmp_path / "tables.toml").write_text("")
    (tmp_path / "figures.toml").write_text(text)
    with pytest.raises(MedrobustError, match=r"figures\.toml: maps images\.show\.3: String should match pattern"):
        read_paper(tmp_path)


def test_what_is_not_measured_is_left_out(report: PaperReport, tmp_path: Path) -> None:
    empty = PaperReport(report.paper, "", report_plan(report), Session(tmp_path / "store", workers=1).store)
    assert image_tiles(empty, spec(report, "maps")) == ([], [])
    assert surface_panels(empty, spec(report, "surfaces")) == []
    assert scatter_panels(empty, spec(report, "points")) == []
    assert isinstance(spec(report, "maps"), ImagesSpec)
    assert [each.saved for each in draw_figures(empty, tmp_path / "figures")] == [None] * 5


def report_plan(report: PaperReport) -> Any:
    from medrobust.api import Plan

    return Plan(report.paper.name, "", tuple(s.entry for s in report.rows))
