"""torchattacks and MedMNIST-C, where they are installed: parity, and corruptions that depend on no batch."""

from __future__ import annotations

import pytest
import torch

from medrobust import Budget, PluginError, Targeted, Untargeted
from medrobust.api import Registry

BUDGET = Budget("linf", 0.05)


@pytest.mark.parametrize("targeted", [False, True])
def test_images_equal_those_of_torchattacks(network, images, draws, targeted) -> None:
    library = pytest.importorskip("torchattacks")
    from medrobust_attacks.adapters.torchattacks_attacks import Torchattacks

    net, x = network(3, channels=3), images(6, 3)
    labels = net.logits(x).argmax(dim=1)
    labels = (labels + 1) % 3 if targeted else labels
    theirs = library.PGD(net.module, eps=0.05, alpha=0.0125, steps=5)
    if targeted:
        theirs.set_mode_targeted_by_label(quiet=True)
    torch.manual_seed(0)
    torch.randint(2**31, (1,))  # the adapter draws the seed that some attacks take
    expected = theirs(x, labels)
    attack = Torchattacks().plugin("PGD")(steps=5)
    torch.manual_seed(0)
    found = attack.perturb(net, x, (Targeted if targeted else Untargeted)(labels), BUDGET, draws(6))
    assert torch.equal(found, expected)


def test_what_torchattacks_says_of_its_attacks() -> None:
    pytest.importorskip("torchattacks")
    from medrobust_attacks.adapters.torchattacks_attacks import Torchattacks

    found = {name: Torchattacks().plugin(name).threat for name in ("PGDL2", "CW", "Square", "JSMA", "GN")}
    assert [threat.norms for threat in found.values()] == [{"l2"}, {"l2"}, {"linf", "l2"}, {"l0"}, {"unbounded"}]
    assert [threat.minimal for threat in found.values()] == [False, True, False, True, False]
    assert [threat.knowledge for threat in found.values()] == ["white-box"] * 2 + ["score-based", "white-box", "none"]
    with pytest.raises(PluginError, match="needs `trainloader`"):
        Registry.discover().find("attack", "torchattacks:LGV")


@pytest.mark.parametrize("channels", [1, 3])
def test_corruptions_depend_on_the_image_alone(network, images, draws, channels) -> None:
    pytest.importorskip("medmnistc")
    from medrobust_attacks.adapters.medmnistc_corruptions import MedMNISTC

    try:
        attack = MedMNISTC().plugin("gaussian_noise")(severity=2)
    except PluginError as error:
        pytest.skip(str(error))  # ImageMagick is not there
    x, rng, budget = images(4, channels), draws(4), Budget("unbounded", None)
    goal, net = Untargeted(torch.zeros(4, dtype=torch.long)), network(2, channels=channels)
    together = attack.perturb(net, x, goal, budget, rng)
    alone = attack.perturb(net, x[2:3], goal[torch.tensor([2])], budget, draws(4)[torch.tensor([2])])
    assert together.shape == x.shape
    assert torch.equal(together[2:3], alone)
    assert (together - x).abs().max() > 0.01
    stronger = MedMNISTC().plugin("gaussian_noise")(severity=5).perturb(net, x, goal, budget, draws(4))
    assert (stronger - x).norm() > (together - x).norm()


def test_what_is_not_installed_says_how() -> None:
    for library in Registry.discover().libraries():
        if library.version is None:
            with pytest.raises(PluginError, match=r"which is not installed: (uv )?pip install"):
                library.names()
