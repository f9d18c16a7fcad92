"""Which figures of papers show images, and are left out where images must not be shown."""

from pathlib import Path

import medrobust_leaderboard
from medrobust_leaderboard.site.papers import with_pixels
from medrobust_leaderboard.specs import read_paper

PAPERS = Path(medrobust_leaderboard.__file__).parent / "papers"


def test_maps_and_images_of_surfaces_are_images_and_numbers_are_not() -> None:
    # In saliency and feature maps, anatomy can be seen. Points in the plane and perturbations show nobody.
    assert {f.id for f in with_pixels(read_paper(PAPERS / "ma2020"))} == {
        *("fig1", "fig2", "fig6", "fig7", "fig10", "fig11"),
    }
    shown = {f.id for f in with_pixels(read_paper(PAPERS / "hirano2021"))}
    assert "fig2" in shown
    assert not shown & {"fig1a-c", "fig1d-f", "figS2"}
