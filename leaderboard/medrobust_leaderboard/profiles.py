"""One way of running a paper's grid: what replaces the paper's data and models, and which answers follow from that."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Final

from pydantic import ConfigDict

from medrobust import MedrobustError
from medrobust.api import METRICS, did_you_mean

FORBID: Final = ConfigDict(extra="forbid")


@dataclass(frozen=True)
class Substitution:
    """Data or a model that replaces the paper's: every number that depends on it is marked.

    Attributes:
        axis: axis of the grid.
        label: label on that axis; `*` and `?` are wildcards.
        paper: what the paper has.
        here: what is used instead.
        reason: why.
        classes: of a data set, the classes that have another name here: the paper's name and ours. Tables and claims
            use the paper's.
    """

    axis: str
    label: str
    paper: str
    here: str
    reason: str = ""
    classes: dict[str, str] = field(default_factory=dict)
    __pydantic_config__: ClassVar[ConfigDict] = FORBID


@dataclass(frozen=True)
class Floor:
    """What a target must reach when clean for attacks on it to say anything.

    Attributes:
        metric: what is measured of its clean record.
        least: the smallest value that counts.
    """

    metric: str
    least: float
    __pydantic_config__: ClassVar[ConfigDict] = FORBID


def class_names(classes: Sequence[str], substitutions: Iterable[Substitution]) -> tuple[str, ...]:
    """The classes of a data set, under the paper's names where a substitution gives them.

    Raises:
        MedrobustError: if a substitution names a class that the data set does not have.
    """
    names: dict[str, str] = {}
    for each in substitutions:
        for papers, ours in each.classes.items():
            if ours not in classes:
                raise MedrobustError(
                    f"paper.toml: substitution of {each.axis} '{each.label}': classes: {papers} = '{ours}', which the "
                    f"data set does not have{did_you_mean(ours, classes)}"
                )
            names[ours] = papers
    return tuple(names.get(name, name) for name in classes)


@dataclass(frozen=True)
class Profile:
    """One way of running a paper's grid.

    Attributes:
        substitutions: data and models that replace the paper's.
        departures: what else differs from the paper's experiment, a sentence each; tables refer to them.
        by_construction: claims, by id, whose answer follows from how the profile was made; with the reason.
        explanations: why claims, by id, need not hold in this profile; shown where they do not.
        floor: numbers of targets below it are flagged, and decide no claim.
    """

    description: str
    substitutions: list[Substitution] = field(default_factory=list)
    departures: list[str] = field(default_factory=list)
    by_construction: dict[str, str] = field(default_factory=dict)
    explanations: dict[str, str] = field(default_factory=dict)
    floor: Floor | None = None
    __pydantic_config__: ClassVar[ConfigDict] = FORBID

    def check(self, where: str) -> None:
        """Refuse what no data type can.

        Raises:
            MedrobustError: beginning with `where`.
        """
        if self.floor is not None and self.floor.metric not in METRICS:
            raise MedrobustError(
                f"{where}: floor: there is no metric '{self.floor.metric}'{did_you_mean(self.floor.metric, METRICS)}"
            )
        for each in self.substitutions:
            if each.classes and each.axis != "dataset":
                raise MedrobustError(
                    f"{where}: substitution of {each.axis} '{each.label}': classes: only a data set has classes "
                    '(axis = "dataset")'
                )
