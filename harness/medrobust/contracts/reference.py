"""What to cite for a plugin."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Reference:
    """A publication, as facts.

    Attributes:
        authors: initials and surname of each, such as ("I. J. Goodfellow", "J. Shlens"); "others" stands for the rest
            of many.
        title: its title.
        venue: where it was published: a journal with volume and pages, a conference, or arXiv with the number.
        year: when; 0 where it is not known.
        doi: its DOI or another address.
    """

    authors: tuple[str, ...]
    title: str
    venue: str
    year: int
    doi: str = ""

    def __str__(self) -> str:
        names = [name for name in self.authors if name != "others"]
        who = ", ".join(names) + (" et al." if "others" in self.authors else "")
        where = ", ".join(part for part in (self.venue, str(self.year or "")) if part)
        link = f", {self.doi if '://' in self.doi else f'doi:{self.doi}'}" if self.doi else ""
        return f"{who}: {self.title}. {where}{link}"
