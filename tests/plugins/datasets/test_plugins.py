"""Every bundled data set says what it is."""

from __future__ import annotations

import dataclasses

import pytest

from medrobust import Dataset
from medrobust_datasets import FILES, medrobust_datasets


def test_names_are_unique() -> None:
    names = [plugin.name for plugin in medrobust_datasets() if isinstance(plugin, type)]
    assert len(set(names)) == len(names)
    assert {
        "image-folder",
        "isic2018",
        "kermany-cxr",
        "kermany-oct",
        "chestxray14",
        "eyepacs",
        "pcam",
        "medmnist",
    } <= set(names)
    assert {"cifar10", "imagenet-folder", "openimages-folder"} <= set(names)


def test_images_are_published_where_the_terms_permit_it() -> None:
    offered = [getattr(each, "plugin", each) for each in medrobust_datasets()]
    permitted = {plugin.name for plugin in offered if plugin.redistributable}
    assert permitted == {
        *("phantom-cxr", "phantom-derm", "phantom-fundus", "phantom-histology", "phantom-natural", "phantom-oct"),
        *("chestxray14", "isic2018", "kermany-cxr", "kermany-oct", "medmnist", "pcam"),
    }
    assert all(plugin.licence.startswith(("CC0", "CC BY", "free use")) for plugin in offered if plugin.redistributable)


@pytest.mark.parametrize("plugin", FILES, ids=lambda plugin: plugin.name)
def test_documented(plugin: type[Dataset]) -> None:
    assert plugin.licence
    assert plugin.references or plugin.name == "image-folder"
    assert plugin.revision == 1
    documentation = "\n".join(base.__doc__ or "" for base in plugin.__mro__)
    for field in dataclasses.fields(plugin):  # type: ignore[arg-type]
        assert f"{field.name}:" in documentation, field.name
