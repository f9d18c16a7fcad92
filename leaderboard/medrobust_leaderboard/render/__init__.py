"""One table model, five renderings."""

from .csv import to_csv
from .html import Link, to_html
from .latex import to_latex
from .markdown import to_markdown
from .terminal import to_terminal

__all__ = ["Link", "to_csv", "to_html", "to_latex", "to_markdown", "to_terminal"]
