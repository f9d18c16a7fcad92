"""What a ranking says, as plain data: the terminal, the site and the tests read the same objects.

A *track* is what numbers must share to be compared: the images and the threat model. On each track there are
`Standings` of defended models and an `AttackRanking`. Numbers are on the scale of records (0.876, not 87.6).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from ..table import TableCell


@dataclass(frozen=True)
class Track:
    """Images and threat model: numbers of one track can be compared, numbers of two cannot.

    Attributes:
        dataset, evaluate_on: labels, as the grid has them.
        budget: label of the budget, such as `linf:4/255`, with its box and slack where they are not the usual ones.
        norm, eps: what the budget is; eps for pixels in [0, 1].
        images: how many; patients: how many they come from, None where unknown.
        part: identity of the images: content, slice and size.
        mark: words that distinguish it from another track of equal labels, such as other files of one data set.
        id: short and stable, for file names and links.
    """

    dataset: str
    evaluate_on: str
    budget: str
    norm: str
    eps: float
    images: int
    patients: int | None
    part: str
    id: str
    mark: str = ""

    @property
    def place(self) -> str:
        """The images, such as "phantom-cxr", or "phantom-cxr (train)" for others than those of the test split."""
        return self.dataset if self.evaluate_on == "test" else f"{self.dataset} ({self.evaluate_on})"

    @property
    def title(self) -> str:
        """Such as "phantom-cxr, linf:4/255"."""
        return f"{self.place}, {self.threat}"

    @property
    def threat(self) -> str:
        """The budget, such as "linf:4/255", with the mark of the track."""
        return f"{self.budget} ({self.mark})" if self.mark else self.budget


@dataclass(frozen=True)
class AttackName:
    """An attack as it stands on one track: equal for all models that faced the same attack.

    Attributes:
        name: what readers call it, unique on its track: "pgd(steps=20)", "pgd, predicted", "uap from densenet121".
        short: `name`, or a short form of a long one that the legend of a table spells out.
        attack, goal, precision, surrogate, craft_on: its labels on these axes.
        mark: words that distinguish it from another attack of equal labels, such as another source of one plugin.
        control: whether it knows nothing of the model, as noise does.
        white_box: whether it saw the model it is tried on.
        plugin: name of the plugin, whatever a grid calls it: `pgd`.
    """

    name: str
    short: str
    attack: str
    goal: str = "untargeted"
    precision: str = "float32"
    surrogate: str = ""
    craft_on: str = ""
    mark: str = ""
    control: bool = False
    white_box: bool = True
    plugin: str = ""


FlagKind = Literal["evidence", "attacks", "shared patients", "failed", "not repeatable", "precision", "machines"]
"""What a flag is about: evidence against the number; attacks of the track that the model did not face; patients that
are in the training images too; attacks that failed; another precision than float32; several machines behind one row."""


@dataclass(frozen=True)
class Flag:
    """Something that a reader of a row must know.

    Attributes:
        kind: what it is about.
        name: short: the check that speaks against the number, or what is missing.
        detail: the numbers behind it.
        advice: what to do about it.
        bars: whether it keeps the row out of the ranking; such a row stands below the ranked ones and has no rank.
    """

    kind: FlagKind
    name: str
    detail: str = ""
    advice: str = ""
    bars: bool = False


@dataclass(frozen=True)
class Standing:
    """A defended model on one track: its rank and numbers.

    Numbers are `TableCell`s: value, 95 % interval, n, state, note; `facts["cells"]` has the cells behind it, separated
    by "; ". Several seeds give their mean, with an interval over them.

    Attributes:
        model, defense, train_set: labels, as the grid has them.
        mark: words that distinguish it from another model of equal labels.
        name: what readers call it, unique on its track: "small-cnn + adversarial-training".
        seeds: those behind its numbers.
        clean: accuracy on the unperturbed images.
        worst: share of images that are correct under every attack it faced.
        attacks: accuracy under each attack, by `AttackName.name`; attacks it did not face are not in it.
        rank: 1 for the best; equal numbers share one; None for a row that a flag bars.
        tied: whether another row has the same rank.
        rank_low, rank_high: 95 % interval of the rank, over patients (or images), and over seeds where there are some.
        flags: what a reader must know.
        targets: identities of the models, one for each seed.
        stores: the stores that its records come from.
    """

    model: str
    defense: str
    train_set: str
    name: str
    clean: TableCell
    worst: TableCell
    attacks: Mapping[str, TableCell] = field(hash=False)
    mark: str = ""
    seeds: tuple[str, ...] = ()
    rank: int | None = None
    tied: bool = False
    rank_low: int | None = None
    rank_high: int | None = None
    flags: tuple[Flag, ...] = ()
    targets: tuple[str, ...] = ()
    stores: tuple[str, ...] = ()

    @property
    def barred(self) -> bool:
        """Whether a flag keeps it out of the ranking."""
        return any(flag.bars for flag in self.flags)


@dataclass(frozen=True)
class Standings:
    """Defended models by robust accuracy under their worst attack: ranked rows first, then those that a flag bars.

    Attributes:
        track: where.
        attacks: the columns: controls first, then in the order of the grids.
        rows: sorted.
    """

    track: Track
    attacks: tuple[AttackName, ...]
    rows: tuple[Standing, ...]


@dataclass(frozen=True)
class Versus:
    """An attack against the next weaker one, on the same images of the same models.

    Attributes:
        other: `AttackName.name` of the other one.
        difference, low, high: share of images that it breaks more, with its 95 % interval.
        p: two-sided p value of the paired test; `adjusted`: by Holm over all comparisons of the ranking.
        test: "mcnemar exact" or "mcnemar clustered".
        n: images (of all models).
    """

    other: str
    difference: float
    low: float | None
    high: float | None
    p: float | None
    adjusted: float | None
    test: str
    n: int

    @property
    def significant(self) -> bool:
        """Whether the two differ beyond chance, at 5 % for the whole ranking."""
        return self.adjusted is not None and self.adjusted < 0.05


@dataclass(frozen=True)
class Strength:
    """What an attack achieves on one track, over all models that every attack of its ranking was tried on.

    Attributes:
        attack: which.
        rank: 1 for the strongest; equal shares have one rank; `tied`: whether another one has it.
        broken: share of the images correct when clean that it breaks.
        alone: share of these images that no other attack breaks.
        passes: forward and backward passes for each image; None where not recorded.
        seconds: for each image; None where not recorded.
        on_front: whether no attack breaks at least as much with fewer passes, or more with as many.
        next: against the next weaker one; None for the last.
    """

    attack: AttackName
    rank: int
    tied: bool
    broken: TableCell
    alone: float
    passes: float | None = None
    seconds: float | None = None
    on_front: bool = False
    next: Versus | None = None


@dataclass(frozen=True)
class AttackRanking:
    """Attacks of one track by strength, at equal budget and on the same models and images.

    Attributes:
        track: where.
        attacks: strongest first.
        models: names (`Standing.name`) of the models that all of them were tried on.
        images: how many images of these models were correct when clean.
        left_out: attacks that were tried on other models alone, with the reason.
    """

    track: Track
    attacks: tuple[Strength, ...]
    models: tuple[str, ...]
    images: int
    left_out: tuple[LeftOut, ...] = ()


@dataclass(frozen=True)
class LeftOut:
    """Results that no ranking shows.

    Attributes:
        what: what they are, such as "pgd on phantom-cxr".
        why: the reason.
        count: how many cells.
        advice: the command that changes it, where there is one.
    """

    what: str
    why: str
    count: int = 1
    advice: str = ""


@dataclass(frozen=True)
class Board:
    """One track with both of its rankings; `attacks` is None where no attack can be compared with another."""

    track: Track
    standings: Standings
    attacks: AttackRanking | None = None


@dataclass(frozen=True)
class Ranking:
    """All that a set of stores says.

    Attributes:
        boards: a track each, in the order of the grids; radii of one norm ascending.
        left_out: results in no board.
        stores: where they come from.
    """

    boards: tuple[Board, ...]
    left_out: tuple[LeftOut, ...] = ()
    stores: tuple[str, ...] = ()

    @property
    def places(self) -> dict[str, list[Board]]:
        """The boards of each set of images, in their order."""
        found: dict[str, list[Board]] = {}
        for board in self.boards:
            found.setdefault(board.track.place, []).append(board)
        return found


@dataclass(frozen=True)
class Duel:
    """Two attacks head to head on one track, over the models that both were tried on.

    Counts are of images correct when clean, of all these models.

    Attributes:
        track: where.
        first, second: the attacks.
        models: how many.
        n: images.
        both, only_first, only_second, neither: how many of them each breaks.
        versus: first minus second; `adjusted` is by Holm over the tracks.
    """

    track: Track
    first: AttackName
    second: AttackName
    models: int
    n: int
    both: int
    only_first: int
    only_second: int
    neither: int
    versus: Versus
