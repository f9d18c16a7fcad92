"""What the file-based data sets share: survey the files, assign splits, decode."""

from __future__ import annotations

from abc import abstractmethod
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Literal

import numpy as np
from PIL import Image
from pydantic import Field

from medrobust import SPLITS, DataError, DataInfo, Dataset, DataSource, ImageData, Members, fingerprint_files

from .decoding import Decoder, OnCorrupt, Resample, decode_files
from .samples import Sample, Survey, group_array, label_array
from .splitting import assign
from .tables import apply_split_lists

Side = Annotated[int, Field(ge=8, le=4096)]
HeldOut = Annotated[float, Field(ge=0, lt=1)]


@dataclass(frozen=True, kw_only=True)
class FileDataset(Dataset):
    """Image files on disk.

    Attributes:
        size: side of the square images in pixels; images that are not square are scaled to it.
        channels: 1 (grey) or 3 (RGB).
        resample: `bilinear` with antialiasing, or `nearest`.
        center: share of each side kept before resizing, cut from the centre (224/256 = 0.875 in wetstein2020).
        val: share of the training images held out as `val`, by whole groups and stratified by class, where the
            publisher names no val split.
        test: share of all images held out as `test`, likewise, where the publisher names no splits.
        splits: lists that replace the publisher's splits: a path with `{split}` for one list per split (such as
            `splits/hirano2021/melanoma_{split}.csv`), or one CSV with the columns file and split. Images in no list are
            left out.
        on_corrupt: `error`, or `skip` to leave unreadable images out, counted in a warning.
        on_shared_groups: `error`, or `keep` where the published splits have images of a group (patient) in several of
            them; results are then marked with how many.
    """

    size: Side = 64
    channels: Literal[1, 3] = 3
    resample: Resample = "bilinear"
    center: Annotated[float, Field(gt=0, le=1)] = 1.0
    val: HeldOut = 0.1
    test: HeldOut = 0.2
    splits: str = ""
    on_corrupt: OnCorrupt = "error"
    on_shared_groups: Literal["error", "keep"] = "error"

    @abstractmethod
    def survey(self, source: DataSource) -> Survey:
        """Files, labels, groups and the publisher's splits, without decoding.

        Raises:
            DataUnavailable: if the files are not there, with what to put where.
            DataError: if names or tables are not as the publisher made them.
        """

    def decoder(self) -> Decoder:
        """How a file becomes pixels."""
        return Decoder(self.size, self.channels, self.resample, self.center, crop=self.crop())

    def crop(self) -> Callable[[Image.Image], Image.Image] | None:
        """A crop that the modality needs before resizing; None for none."""
        return None

    def complete(self, source: DataSource) -> Survey:
        """The survey with every sample in a split, ordered by id."""
        survey = self.survey(source)
        if self.splits:
            samples, lists = apply_split_lists(survey.samples, self.splits, source)
            survey = replace(survey, samples=samples, tables=survey.tables + lists)
        samples = assign(survey.samples, val=self.val, test=self.test)
        return replace(survey, samples=tuple(sorted(samples, key=lambda sample: sample.id)))

    def describe(self, source: DataSource) -> DataInfo:
        survey = self.complete(source)
        return DataInfo(
            classes=survey.classes,
            size=(self.size, self.size),
            channels=self.channels,
            task=survey.task,
            splits=_present(survey),
            grouped=any(sample.group is not None for sample in survey.samples),
            shared_groups=self.on_shared_groups == "keep",
        )

    def members(self, source: DataSource) -> Mapping[str, Members]:
        samples: dict[str, list[Sample]] = defaultdict(list)
        for sample in self.complete(source).samples:
            samples[str(sample.split)].append(sample)
        return {
            split: Members([sample.id for sample in samples[split]], [sample.unit for sample in samples[split]])
            for split in SPLITS
            if split in samples
        }

    def load(self, split: str, source: DataSource) -> ImageData:
        survey = self.complete(source)
        samples = [sample for sample in survey.samples if sample.split == split]
        if not samples:
            raise DataError(
                f"{self.title} at {survey.root} has no {split} images, only {', '.join(_present(survey)) or 'none'}. "
                "Name its images in splits = ..., or where no split is named at all hold out a share with test = 0.2, "
                "and of the training images with val = 0.1."
            )
        images, kept = decode_files(
            [sample.file for sample in samples], self.decoder(), self.on_corrupt, source.progress
        )
        samples = [samples[index] for index in kept]
        ids = np.asarray([sample.id for sample in samples], dtype=np.str_)
        return ImageData(images, label_array(samples), ids, group_array(samples))

    def fingerprint(self, source: DataSource) -> str:
        survey = self.complete(source)
        return fingerprint_files(survey.root, [sample.file for sample in survey.samples], whole=survey.tables)


def _present(survey: Survey) -> tuple[str, ...]:
    found = {sample.split for sample in survey.samples}
    return tuple(split for split in SPLITS if split in found)
