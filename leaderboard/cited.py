"""Figures that papers report, as they were published: read from ``cited.yaml``, and never mixed with ours."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Annotated, Self

import yaml
from pydantic import Field, TypeAdapter, ValidationError, model_validator

from ..results.errors import UserError, first_fault
from ..results.record import Frozen

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

FILE = files("synthward.leaderboard") / "cited.yaml"
Text = Annotated[str, Field(min_length=1)]
# A number, with what it varies by if published, or a count of a total. Text: the digits stay those of the paper.
Value = Annotated[str, Field(pattern=r"^\d+(\.\d+)?( ± \d+(\.\d+)?)?$|^\d+/\d+$")]


class Source(Frozen):
    """Where a figure was published.

    Attributes:
        authors: all of them.
        year: of the version that is cited.
        doi, arxiv: identifiers; at least one of them.
    """

    authors: Annotated[tuple[Text, ...], Field(min_length=1)]
    year: int
    title: Text
    doi: str = ""
    arxiv: str = ""

    @model_validator(mode="after")
    def _can_be_found(self) -> Self:
        if not self.doi and not self.arxiv:
            raise ValueError("a source has a doi or an arxiv number")
        return self

    @property
    def short(self) -> str:
        """Authors and year, as in running text."""
        return f"{self.authors[0].split()[-1]}{' et al.' if len(self.authors) > 1 else ''} {self.year}"

    @property
    def full(self) -> str:
        """The whole reference on one line."""
        identifiers = [f"doi {self.doi}"] * bool(self.doi) + [f"arXiv {self.arxiv}"] * bool(self.arxiv)
        return f"{', '.join(self.authors)} ({self.year}), {self.title}, {', '.join(identifiers)}"


class Figure(Frozen):
    """One metric in the paper's words, with a value for each model, in the order of the table's models."""

    metric: Text
    values: tuple[Value, ...]


class CitedTable(Frozen):
    """Figures of one paper on one dataset.

    Attributes:
        system: what the paper proposes.
        dataset: on which the figures were taken, and against which rows.
        models: generators, as the paper names them.
        figures: metric by metric; none where nothing but the need of data is to be said.
        place: where in the source the figures stand.
        source: the paper.
        note: what a reader should know before reading more into the figures than they say.
        needs: why the figures cannot be recomputed here, if they cannot.
        ours: name of the generator that does what the paper's does.
    """

    system: Text
    dataset: Text
    models: Annotated[tuple[Text, ...], Field(min_length=1)]
    figures: tuple[Figure, ...]
    place: Text
    source: Source
    note: str = ""
    needs: str = ""
    ours: str = ""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if not self.figures and not self.needs:
            raise ValueError("a table without figures says what it needs")
        for figure in self.figures:
            if len(figure.values) != len(self.models):
                raise ValueError(f"'{figure.metric}' has {len(figure.values)} values for {len(self.models)} models")
        for names in (self.models, [figure.metric for figure in self.figures]):
            if len(set(names)) < len(names):
                raise ValueError("a model or a metric stands there twice")
        return self


def load_cited(file: Traversable = FILE) -> tuple[CitedTable, ...]:
    """Read and check the figures.

    Raises:
        UserError: one line that names the first thing wrong with the file.
    """
    try:
        return TypeAdapter(tuple[CitedTable, ...]).validate_python(yaml.safe_load(file.read_text(encoding="utf-8")))
    except ValidationError as error:
        fault = first_fault(error)
        raise UserError(f"{file.name}, {fault.place or 'top'}: {fault.text}") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"{file.name} cannot be read: {' '.join(str(error).split())}") from None
