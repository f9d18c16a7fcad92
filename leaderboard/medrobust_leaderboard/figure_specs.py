"""What `figures.toml` says: one kind of specification for each kind of figure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Final, Literal

from pydantic import Field

from .views import Rule, View


@dataclass(frozen=True, kw_only=True)
class CurvesSpec(View):
    """Curves over a radius, a number of steps or of iterations.

    Attributes:
        panels, series: axes, or `value` for the label of a rule; several make a combined label.
        x: `eps` (in grey levels of 255), `eps_share` (of the range of a pixel), `zeta` (in percent), or a cumulative
            field such as `defense.iterations`; the cells without attack (or defense) are at 0. Or `confidence`, the
            middle of the bins of a metric that has them, `radius`, at which `accuracy_within` says what is left (in
            grey levels for linf), or `train_images`, the number of images trained on.
        value: the rules that say which metric is shown.
        origin: the value at 0 where the metric has it by definition, such as 1 for the images correct when clean.
        counts: whether the number of images behind each point is written at the lower edge, for panels of one series.
        control: labels of the series that are controls, drawn dashed in the colour of the series that they differ from
            in these labels alone.
    """

    kind: Literal["curves"]
    panels: list[str]
    series: list[str]
    x: str
    value: list[Rule]
    x_label: str
    y_label: str
    x_scale: Literal["linear", "log", "even"] = "linear"
    origin: float | None = None
    counts: bool = False
    control: dict[str, str] = field(default_factory=dict)
    columns: int = 3


@dataclass(frozen=True, kw_only=True)
class BarsSpec(View):
    """Grouped bars; `control` replaces labels of a bar's cell to give the dashed line across it."""

    kind: Literal["bars"]
    panels: list[str]
    groups: list[str]
    series: list[str]
    value: list[Rule]
    y_label: str
    control: dict[str, str] = field(default_factory=dict)
    control_label: str = "random control"
    columns: int = 3


@dataclass(frozen=True, kw_only=True)
class ConfusionSpec(View):
    """Confusion matrices, a panel for each combination of labels; `metric` says what the rows are."""

    kind: Literal["confusion"]
    panels: list[str]
    metric: Literal["confusion_matrix", "confusion_matrix_by_prediction"] = "confusion_matrix"
    columns: int = 3


Shown = Annotated[str, Field(pattern=r"^(clean|perturbation|adversarial|.+\.(clean|adversarial|change))$")]
"""An image, or what a probe measured of it: `saliency.clean`, or `grad-cam.change` for adversarial minus clean."""
IMAGES: Final = ("clean", "perturbation", "adversarial")
EXAMPLES: Final = "examples"
"""The probe that keeps images."""
SHOW: Final = "show"
EXAMPLE: Final = "example"


@dataclass(frozen=True, kw_only=True)
class ImagesSpec(View):
    """Images: the perturbation, scaled to be seen, examples with the decision on each, and what probes made of them.

    Attributes:
        rows, columns: axes whose labels make the rows and the columns; `show` and `example` among them say where what
            is shown, and the examples, stand beside or below each other: by default in columns and in rows.
        show: what is shown at each place, in order. Images need the probe `examples`; what a probe measured is asked
            for by its name or alias, such as `saliency.clean`.
        examples: examples at each place, of different classes first.
        broken: show only examples that are decided rightly when clean and wrongly under attack.
        per_line: rows side by side in one line, each below its name.
        clean_once: show the clean image in the first column alone; every column of a row has the same one.
        of_each_class: of these, at most so many of one class.
        right_first: prefer examples that the model decides rightly when they are clean.
        below: what stands below an image: what the model decided, the true class, or nothing. Below a map that is not
            laid over an image stand the ends of its colour scale.
        mark: show right decisions in green and wrong ones in red.
        overlay: lay maps over the images that they are of, each from 0 to its greatest value.
        limits: the least and the greatest value of a colour scale, by probe; else those of the maps shown of an image.
    """

    kind: Literal["images"]
    rows: list[str]
    columns: list[str] = field(default_factory=list)
    show: list[Shown] = field(default_factory=lambda: ["clean", "perturbation", "adversarial"])
    examples: int = 1
    broken: bool = False
    per_line: Annotated[int, Field(ge=1)] = 1
    clean_once: bool = False
    of_each_class: int | None = None
    right_first: bool = False
    below: Literal["decision", "class", "nothing"] = "decision"
    mark: bool = False
    overlay: bool = False
    limits: dict[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def row_axes(self) -> list[str]:
        """The axes of the rows, with `example` where it stands."""
        return self.rows if EXAMPLE in (*self.rows, *self.columns) else [*self.rows, EXAMPLE]

    @property
    def column_axes(self) -> list[str]:
        """The axes of the columns, with `show` where it stands."""
        return self.columns if SHOW in (*self.rows, *self.columns) else [*self.columns, SHOW]

    @property
    def probes(self) -> list[str]:
        """The probes that it is drawn from, by name or alias; none for perturbations."""
        if self.show == ["perturbation"]:
            return []
        images = [EXAMPLES] if self.overlay or any(kind in IMAGES for kind in self.show) else []
        return list(dict.fromkeys([*images, *(kind.rpartition(".")[0] for kind in self.show if kind not in IMAGES)]))


@dataclass(frozen=True, kw_only=True)
class SurfacesSpec(View):
    """Loss surfaces around examples, each below its image.

    Attributes:
        columns: axes whose labels make the columns, and `example` if there are several.
        examples: how many at each place; right decisions come first. Needs the probes `examples` and `probe`.
        probe: name or alias of the probe that has `loss` and `eps`.
        x_label, y_label, z_label: of the two directions and of the loss.
    """

    kind: Literal["surfaces"]
    columns: list[str]
    examples: int = 1
    probe: str = "loss-surface"
    x_label: str = "eps 1 (/255)"
    y_label: str = "eps 2 (/255)"
    z_label: str = "loss"

    @property
    def probes(self) -> list[str]:
        """The probes that it is drawn from, by name or alias."""
        return [EXAMPLES, self.probe]


@dataclass(frozen=True, kw_only=True)
class ScatterSpec(View):
    """Clean and adversarial images as points in the plane, a panel for each row and column.

    Attributes:
        rows, columns: axes whose labels make them.
        probe: name or alias of the probe that has `clean` and `adversarial` places (n, 2).
    """

    kind: Literal["scatter"]
    rows: list[str]
    columns: list[str]
    probe: str = "t-sne"

    @property
    def probes(self) -> list[str]:
        """The probes that it is drawn from, by name or alias."""
        return [self.probe]


FigureSpec = CurvesSpec | BarsSpec | ConfusionSpec | ImagesSpec | SurfacesSpec | ScatterSpec
AnyFigure = Annotated[FigureSpec, Field(discriminator="kind")]
