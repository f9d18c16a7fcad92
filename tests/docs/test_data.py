"""docs/data.md says of every data set what its plugin declares; what can be fetched is fetched by https."""

from __future__ import annotations

from pathlib import Path

import pytest

from medrobust import Dataset

datasets = pytest.importorskip("medrobust_datasets")

PAGE = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
PUBLISHED: list[type[Dataset]] = [plugin for plugin in datasets.FILES if plugin.origin is not None]


def section(plugin: type[Dataset]) -> str:
    _, heading, rest = PAGE.partition(f"\n## {plugin.name}\n")
    assert heading, plugin.name
    return rest.partition("\n## ")[0]


@pytest.mark.parametrize("plugin", PUBLISHED, ids=lambda p: p.name)
def test_the_page_says_what_the_plugin_declares(plugin: type[Dataset]) -> None:
    origin, text = plugin.origin, section(plugin)
    assert origin is not None
    for fact in (f"<{origin.page}>", f"Terms: {plugin.licence}", f"Size: {origin.size}", *origin.layout, origin.access):
        assert fact in text
    assert f"`medrobust data check {plugin.name}`" in text
    assert (f"medrobust data get {plugin.name}" in text) == bool(plugin().files)


def test_every_data_set_of_files_has_a_section() -> None:
    for plugin in datasets.FILES:
        assert section(plugin)


@pytest.mark.parametrize("plugin", PUBLISHED, ids=lambda p: p.name)
def test_what_is_fetched_is_named_once_and_safely(plugin: type[Dataset]) -> None:
    files = plugin().files
    assert len({file.url for file in files}) == len(files)
    for file in files:
        assert file.url.startswith("https://")
        assert not Path(file.path).is_absolute()
        assert ".." not in Path(file.path).parts
        if file.known_hash is not None:
            kind, _, digest = file.known_hash.partition(":")
            assert len(digest) == {"md5": 32, "sha256": 64}[kind]
            assert set(digest) <= set("0123456789abcdef")


def test_medmnist_has_a_file_for_every_set_and_size() -> None:
    seen = {
        file.known_hash
        for subset in datasets.medmnist.CLASSES
        for size in (28, 64, 128, 224)
        for file in datasets.MedMnist(subset=subset, size=size).files
    }
    assert len(seen) == 48


def test_the_lists_of_papers_are_those_that_their_grids_name() -> None:
    places = {file.path for plugin in PUBLISHED for file in plugin().files}
    for name in ("melanoma", "oct", "chestx"):
        assert {f"splits/hirano2021/{name}_train.csv", f"splits/hirano2021/{name}_test.csv"} <= places
