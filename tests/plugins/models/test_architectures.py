"""The names on offer are torchvision's."""

import torchvision

from medrobust_models.architectures import ARCHITECTURES


def test_every_name_is_one_of_torchvisions_and_none_is_missing() -> None:
    assert set(torchvision.models.list_models(module=torchvision.models)) == set(ARCHITECTURES)
