"""The whole of wetstein2020 in miniature: what its tables and figure show is what was crafted on which surrogate."""

from __future__ import annotations

import csv
import io
import shutil
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import pytest

import medrobust_leaderboard
from medrobust.api import Plan, Record, Session, measure
from medrobust.grid.targets import Target
from medrobust_leaderboard.figure_data import draw_figures, image_tiles
from medrobust_leaderboard.figure_specs import ImagesSpec
from medrobust_leaderboard.render import to_csv, to_markdown
from medrobust_leaderboard.report import PaperReport
from medrobust_leaderboard.specs import read_paper

pytestmark = pytest.mark.long

FOLDER = Path(medrobust_leaderboard.__file__).parent / "papers" / "wetstein2020"
IMAGES, STEPS = 40, 3
TINY = """
[profile.tiny.define]
ophthalmology        = { name = "phantom-fundus", size = 28, train = 120, val = 24, test = 40 }
radiology            = { name = "phantom-cxr", task = "multilabel", size = 28, train = 600, val = 24, test = 40 }
pathology            = { name = "phantom-histology", size = 28, train = 120, val = 24, test = 40 }
tuning               = { epochs = 1, select_on = "val[:50%]" }
scratch              = { epochs = 1, select_on = "val[:50%]" }
scratch-d2           = { epochs = 1, select_on = "val[50%:]" }
pretraining          = { pretrain_on = { name = "phantom-natural", size = 28, train = 60, val = 20, test = 20 }, recipe = { epochs = 1 } }
InceptionV3          = { name = "small-cnn", width = 2, instance = 1, recipe = "@scratch" }
DenseNet121          = { name = "small-resnet", width = 2, instance = 1, recipe = "@scratch" }
InceptionV3-imagenet = { name = "small-cnn", width = 2, init = "@pretraining", recipe = "@tuning" }
DenseNet121-imagenet = { name = "small-resnet", width = 2, init = "@pretraining", recipe = "@tuning" }
InceptionV3-d2       = { name = "small-cnn", width = 2, recipe = "@scratch-d2" }
DenseNet121-d2       = { name = "small-resnet", width = 2, recipe = "@scratch-d2" }
PGD                  = { name = "pgd", steps = 3, step_size = "0.01@[-1,1]", random_start = false }
"""  # noqa: E501
RELEASED = """
FGSM                 = { name = "rounded", of = "fgsm", mode = "down" }
"linf:0.02@[-1,1]"   = "linf:0.02@[-1,1] slack=1/255"
"""
Numbers = dict[tuple[str, ...], dict[str, str]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The paper's folder with one more profile."""
    made = tmp_path_factory.mktemp("papers") / "wetstein2020"
    shutil.copytree(FOLDER, made)
    with (made / "grid.toml").open("a", encoding="utf-8") as stream:
        stream.write(TINY + TINY.replace("profile.tiny", "profile.released") + RELEASED)
    with (made / "paper.toml").open("a", encoding="utf-8") as stream:
        stream.write('\n[profiles.tiny]\ndescription = "Seconds."\n')
    return made


@pytest.fixture(scope="module")
def session(folder: Path) -> Session:
    return Session(folder.parent / "store", workers=1, cache=folder.parent / "cache")


@pytest.fixture(scope="module")
def plan(session: Session, folder: Path) -> Plan:
    found = session.plan(folder / "grid.toml", profile="tiny", evidence=False)
    outcome = session.run(found)
    assert outcome.complete, outcome.problems
    return found


@pytest.fixture(scope="module")
def report(session: Session, folder: Path, plan: Plan) -> PaperReport:
    return PaperReport(read_paper(folder), "tiny", plan, session.store)


@pytest.fixture(scope="module")
def rendered(report: PaperReport) -> dict[str, Numbers]:
    """Each table as it is written: rows of its CSV by their labels."""
    found = {}
    for table in report.tables():
        keys = len(table.row_names) + len(table.column_names)
        rows = csv.DictReader(io.StringIO(to_csv(table)))
        found[table.id] = {tuple(row.values())[:keys]: row for row in rows}
    return found


def value(numbers: Numbers, *labels: str) -> float:
    (row,) = [row for key, row in numbers.items() if set(labels) <= set(key)]
    return float(row["value"])


def beside(numbers: Numbers, *labels: str) -> float:
    (row,) = [row for key, row in numbers.items() if set(labels) <= set(key)]
    return float(row["bracket"])


def auc(record: Record) -> float:
    found = measure("mean_auc", record).scalar
    assert found is not None
    return found


def mean(*numbers: float) -> float:
    return sum(numbers) / len(numbers)


# Tables ---------------------------------------------------------------------------------------------------------------


def test_every_value_of_the_paper_stands_beside_one_of_ours(rendered: dict[str, Numbers]) -> None:
    counts = {id_: len(numbers) for id_, numbers in rendered.items()}
    assert counts == {"table1": 45, "table2": 18, "table2-average": 6, "table3": 21}
    rows = [row for numbers in rendered.values() for row in numbers.values()]
    assert [row for row in rows if not (row["value"] and row["reference"])] == []


@pytest.mark.parametrize("dataset", ["Ophthalmology", "Radiology", "Pathology"])
def test_one_number_comes_out_of_three_tables(rendered: dict[str, Numbers], dataset: str) -> None:
    # Random weights, d1, eps 0.02, over both attacks and all pairs of architectures: from three selections.
    first = mean(*(value(rendered["table1"], dataset, attack, "eps = 0.02") for attack in ("FGSM", "PGD")))
    table2 = rendered["table2"]
    (second,) = [float(r["value"]) for k, r in table2.items() if k == ("Random", "Random", dataset)]
    third = mean(*(value(rendered["table3"], dataset, kind, "d1") for kind in ("same", "different")))
    assert first == pytest.approx(second, abs=1e-6)
    assert third == pytest.approx(second, abs=1e-6)
    clean = {value(rendered["table1"], dataset, "none", f"eps = 0.0{n}") for n in (2, 4, 6)}
    (of_random,) = [float(r["value"]) for k, r in table2.items() if k == ("Random", "–", dataset)]
    (of_third,) = [float(r["value"]) for k, r in rendered["table3"].items() if k == ("–", "–", dataset)]
    assert clean == {of_random} == {of_third}


@pytest.mark.parametrize("target", ["ImageNet", "Random"])
def test_block_averages_are_means_of_the_rows_under_attack(rendered: dict[str, Numbers], target: str) -> None:
    for dataset in ("Ophthalmology", "Radiology", "Pathology"):
        rows = [r for k, r in rendered["table2"].items() if k[0] == target and k[1] != "–" and k[2] == dataset]
        assert len(rows) == 2
        average = value(rendered["table2-average"], target, dataset)
        assert average == pytest.approx(mean(*(float(r["bracket"]) for r in rows)), abs=1e-6)


def test_relative_performance_is_a_mean_of_ratios(
    report: PaperReport, plan: Plan, rendered: dict[str, Numbers]
) -> None:
    wanted = {"tags.target": "random", "tags.surrogate": "imagenet", "dataset": "radiology"}
    cells = [s.entry.cell for s in report.rows if s.row["attack"] != "none" and wanted.items() <= s.row.items()]
    records = dict(report.store.records([c.id for c in cells if c]))
    assert len(records) == 8
    assert {r.adversarial.shape[1] for r in records.values()} == {14}
    ratios = [auc(r) / auc(replace(r, adversarial=r.clean)) for r in records.values()]
    (row,) = [r for k, r in rendered["table2"].items() if k == ("Random", "ImageNet", "Radiology")]
    assert float(row["bracket"]) == pytest.approx(mean(*ratios), abs=1e-6)
    assert float(row["value"]) == pytest.approx(mean(*map(auc, records.values())), abs=1e-6)


def test_brackets_are_shown_in_percent(report: PaperReport) -> None:
    table = next(t for t in report.tables() if t.id == "table2")
    assert "(in brackets relative to the clean AUC, in percent)" in to_markdown(table)
    assert "paper 0.94 (100 %)" in to_markdown(table)


# Crafting -------------------------------------------------------------------------------------------------------------


def test_images_are_crafted_once_for_each_surrogate(session: Session, plan: Plan) -> None:
    cells = session.store.cells(["step", "source", "eps", "norm", "backward_passes", "iterations", "attack", "target"])
    attacked = cells[cells["attack"] != "none"]
    family = {"FGSM": 1, "shuffled-FGSM": 1, "PGD": STEPS, "shuffled-PGD": STEPS}
    labels = {e.cell.id: e.row()["attack"] for e in plan.entries if e.cell is not None and e.cell.attack is not None}
    runs: dict[tuple[str, float, int], set[tuple[str, int]]] = defaultdict(set)
    for cell, row in attacked.iterrows():
        steps = family[labels[str(cell)]]
        runs[row["source"], round(row["eps"], 4), steps].add((row["step"], row["backward_passes"]))
    # One step for each surrogate, radius and attack, which made IMAGES gradients for each step of the attack.
    for (_, _, steps), made in runs.items():
        assert {passes for _, passes in made} == {IMAGES * steps}
        assert len(made) == 1
    # 12 surrogates a data set, 2 of them at three radii.
    assert len({source for source, *_ in runs}) == 36
    assert len(runs) == 3 * 2 * (2 * 3 + 10)
    assert len({step for made in runs.values() for step, _ in made}) == len(runs)
    # Four targets a data set look at them, and nobody attacks himself.
    assert len(set(attacked["target"])) == 12
    assert not (attacked["target"] == attacked["source"]).any()


def test_each_model_is_trained_once_and_pre_training_is_shared(session: Session) -> None:
    fits = session.store.rows("fits")
    natural = fits["dataset"].str.startswith("phantom-natural")
    assert (~natural).sum() == 36
    # Two architectures, for images of one and of three channels, whatever the instance.
    assert natural.sum() == 4


def starts(target: Target) -> list[tuple[int, int]]:
    """Instance and seed of the random weights that a model, or its pre-training, began with."""
    return [(t.model.plugin.instance, t.seed) for t in (target, target.pretrained) if t is not None]  # type: ignore[attr-defined]


def test_surrogates_are_what_their_tags_say(plan: Plan) -> None:
    slices = {"d1": "train[:50%]", "d2": "train[50%:]", "d2/2": "train[50%:75%]"}
    validation = {"d1": "val[:50%]", "d2": "val[50%:]", "d2/2": "val[50%:]"}
    checked = 0
    for entry in plan.entries:
        cell, row = entry.cell, entry.row()
        if cell is None or cell.attack is None:
            continue
        assert cell.source is not None
        target, source = cell.target, cell.source
        assert str(target.train.slice) == "train[:50%]"
        assert str(source.train.slice) == slices[row["tags.data"]]
        assert source.model.plugin.recipe.select_on == validation[row["tags.data"]]  # type: ignore[attr-defined]
        same = source.model.plugin.name == target.model.plugin.name
        assert row["tags.architecture"] == ("same" if same else "different")
        for model, tag in ((target, "tags.target"), (source, "tags.surrogate")):
            assert (model.pretrained is not None) == (row[tag] == "imagenet")
        assert source.id != target.id
        # No surrogate draws the batches of its target.
        assert source.model.plugin.instance != target.model.plugin.instance  # type: ignore[attr-defined]
        if same:
            # Nor starts from its random weights.
            shared = set(starts(source)) & set(starts(target))
            both_tuned = row["tags.target"] == row["tags.surrogate"] == "imagenet"
            assert shared == ({(0, 0)} if both_tuned else set())
        checked += 1
    assert checked > 200


def test_what_the_released_code_does_stands_where_the_paper_s_text_does(
    session: Session, folder: Path, plan: Plan
) -> None:
    released = session.plan(folder / "grid.toml", profile="released", evidence=False)
    assert [e.row() for e in released.entries] == [e.row() for e in plan.entries]
    changed = {
        (e.row()["attack"], e.row()["budget"])
        for e, other in zip(released.entries, plan.entries, strict=True)
        if e.cell is not None and other.cell is not None and e.cell.id != other.cell.id
    }
    assert {attack for attack, _ in changed} == {"FGSM", "shuffled-FGSM", "PGD", "shuffled-PGD"}
    assert {budget for attack, budget in changed if "PGD" in attack} == {"linf:0.02@[-1,1]"}


# The figure -----------------------------------------------------------------------------------------------------------


def test_the_figure_has_a_clean_image_and_three_radii(report: PaperReport, tmp_path: Path) -> None:
    (spec,) = report.paper.figures
    assert isinstance(spec, ImagesSpec)
    labels, tiles = image_tiles(report, spec)
    assert labels == ["Ophthalmology", "Radiology", "Pathology"]
    assert [t.title for t in tiles[0] if t] == ["clean", "eps = 0.02", "eps = 0.04", "eps = 0.06"]
    for row in tiles:
        clean, *attacked = (tile.pixels for tile in row if tile is not None)
        distances = [float(abs(pixels - clean).max()) for pixels in attacked]
        assert distances == pytest.approx([0.01, 0.02, 0.03], abs=1e-5)
    assert all(each.saved for each in draw_figures(report, tmp_path))
