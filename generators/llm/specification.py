"""A language model writes down a distribution, and we draw the rows: any number of them for a call or two."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from ...benchmarks.columns import Column, Kind
from ...benchmarks.schema import TableSchema
from ...benchmarks.seeds import derive
from ...results.errors import UserError
from ..summary import indicated
from ..view import Access
from .base import LLMGenerator
from .budget import tokens_of
from .distribution import Columns, Correlation, Problem, Specification, counted, ordered, terms
from .exchange import Form, Message, Reply, Request, Usage
from .prompts import constrain, describe, gather, introduce, render, strongest, tell, template_hash
from .specification_check import tied
from .specification_form import columns_form, columns_tokens, correlations_form, correlations_tokens, may_be_zero
from .specification_reading import read_columns, read_correlations

if TYPE_CHECKING:
    import pandas as pd

    from ..view import TrainView

COLUMNS_TEMPLATE = "specification.j2"
CORRELATIONS_TEMPLATE = "specification_correlations.j2"
SMALL = 16  # columns that an embedded model is asked for in one request


@dataclass(eq=False)
class LLMSpecification(LLMGenerator):
    """A language model that writes a distribution specification, which we sample from.

    The published tables of the zero-shot neurosurgical study (arXiv 2502.09566) replay as a seeded NumPy program: the
    model had written a sampler and run it. Here it writes what such a program would hold, as data: a family,
    its moments for each column of numbers, a percentage for each code, and correlations, those of each code of a
    column whose codes have no order. Nothing that it writes is ever executed. Columns that are refused are asked
    for again; whatever is repaired is counted. The rules are the card's alone: the model is told them, and the rows
    are drawn so that they keep them. Conditional tables (``given``) are for specifications written by hand.

    Attributes:
        llm: the ``llm`` group of the configuration.
        access: ``description``, or ``statistics`` to tell the model those of the train rows.
        attempts: how often a column, or the correlations, are asked for at most.
        correlations: ask for correlations, in a request of their own; else columns are independent.
        threshold: absolute correlation from which a pair is told, with ``statistics`` access.
        most_pairs: correlations that are told, and that are asked for, at most.
        ranges: ask for the smallest and the largest value of a column of numbers; else they are the card's bounds.
            Small models contradict themselves when they write them, and their columns are refused.
        columns_per_request: columns asked for in one request; by default all of them, or ``SMALL`` of an embedded
            model, which has a small context and does worse with a long form.
        prior_knowledge: tell which database it is, and who its patients are.
        dictionary: tell what columns and codes mean, and the rules of the card; else only the values they take.
    """

    version = "2"

    access: Access = Access.DESCRIPTION
    attempts: int = 5
    correlations: bool = True
    threshold: float = 0.2
    most_pairs: int = 24
    ranges: bool = False
    columns_per_request: int | None = None
    prior_knowledge: bool = True
    dictionary: bool = True

    def __post_init__(self) -> None:
        if self.access not in (Access.DESCRIPTION, Access.STATISTICS):
            raise UserError(f"llm_specification: access is 'description' or 'statistics', not '{self.access}'")
        self.access = Access(self.access)  # a word, where it comes from a configuration
        self.missing = "reproduced" if self.access == Access.STATISTICS else "imputed"

    def fit(self, view: TrainView, seed: int) -> Self:
        """Take note of the view; the model is asked at the first ``sample``, so that a plan costs nothing."""
        self._open(view)
        self._view, self._schema, self._seed = view, view.schema, seed
        self._gaps = self.missing == "reproduced"
        self._requests = 0
        self._problems: list[Problem] = []
        self._specification: Specification | None = None
        return self

    def sample(self, n: int, seed: int) -> pd.DataFrame:
        from .copula import sample

        if self._specification is None:
            self._specification = self._specify()
        table, self._tally = sample(self._specification, self._schema, n, seed)
        return table

    def details(self) -> dict[str, Any]:
        account = self._account() | {
            "prompt_template": template_hash(COLUMNS_TEMPLATE),
            "correlations_template": template_hash(CORRELATIONS_TEMPLATE),
            "problems": counted(self._problems),
        }
        assert self._specification is not None
        specification = self._specification.model_dump(mode="json", exclude_none=True)
        rules = {
            "rows_drawn": self._tally.drawn,
            "rows_put_right": self._tally.imposed,
            "rows_drawn_anew": self._tally.broken,
        }
        facts = {"llm": account, "specification": specification, **rules}
        # To ask is to fit, whenever it happens: rows then cost next to nothing.
        return facts | self._served("fit")

    def _expected(self, n: int) -> tuple[int, Usage]:
        columns = self._schema.columns
        requests = [self._columns_request(group) for group in self._groups(columns)]
        names = self._correlated()
        requests += [self._correlations_request(names)] if names else []
        self._requests = 0
        prompts = [tokens_of(message.content) for request in requests for message in request.messages]
        # A reply is held to its form: about half of the room that it is given.
        room = sum(request.max_tokens for request in requests)
        return len(requests), Usage(prompt_tokens=sum(prompts), completion_tokens=room // 2)

    def _specify(self) -> Specification:
        """Ask the model for the specification.

        Raises:
            UserError: some column was never described validly.
        """
        columns = self._ask_columns()
        specification, problems = tied(columns, self._ask_correlations(), self._schema)
        self._problems += problems
        lacking = [name for name in self._schema.names if name not in specification.columns]
        if not lacking:
            return specification
        reasons = counted(self._problems)["refused"]
        raise UserError(
            f"the model gave no valid distribution of {', '.join(lacking)} in {self.attempts} attempts "
            f"({', '.join(f'{reason}: {count}' for reason, count in reasons.items())}): "
            "raise generator.attempts, or ask a stronger model"
        )

    def _ask_columns(self) -> Columns:
        """The columns that the model described validly, after so many attempts."""
        columns: Columns = {}
        for _ in range(self.attempts):
            groups = self._groups([c for c in self._schema.columns if c.name not in columns])
            if not groups:
                break
            replies = self._client.complete([self._columns_request(group) for group in groups])
            for reply, group in zip(replies, groups, strict=True):
                accepted, problems = read_columns(_text(reply), group, self._schema)
                self._problems += problems
                columns |= accepted
        return columns

    def _ask_correlations(self) -> tuple[Correlation, ...]:
        """The correlations that the model gave, or none if no attempt led to any."""
        names = self._correlated()
        for _ in range(self.attempts if names else 0):
            (reply,) = self._client.complete([self._correlations_request(names)])
            pairs, problems = read_correlations(_text(reply))
            self._problems += problems
            if pairs is not None:
                return pairs
        return ()

    def _groups(self, columns: Sequence[Column]) -> list[Sequence[Column]]:
        """Columns by request, in groups of about equal size."""
        most = self.columns_per_request or (SMALL if self.model.defining["endpoint"] == "embedded" else len(columns))
        requests = -(-len(columns) // max(most, 1))
        size = -(-len(columns) // max(requests, 1))
        return [columns[i : i + size] for i in range(0, len(columns), size or 1)]

    def _correlated(self) -> list[list[str]]:
        """What correlations are asked for, by column, that of the target first: of two columns at least, or nothing."""
        columns = sorted(self._schema.columns, key=lambda column: column.name != self._schema.target)
        return [_names(c, self._schema) for c in columns] if self.correlations and len(columns) > 1 else []

    def _columns_request(self, columns: Sequence[Column]) -> Request:
        statistics: list[str] = []
        if self.access == Access.STATISTICS:
            facts = self._view.statistics()
            statistics = [f"{c.name}: {tell(c, facts[c.name])}" for c in columns]
        prompt = render(
            COLUMNS_TEMPLATE,
            **self._blocks(columns),
            statistics=statistics,
            numbers=any(c.numeric for c in columns),
            ranges=self.ranges,
            codes=any(not c.numeric for c in columns),
            decimals=any(c.kind is Kind.CONTINUOUS and c.decimals is None for c in columns),
            counts=any(c.kind is Kind.INTEGER for c in columns),
            zeros=any(map(may_be_zero, columns)),
            rules=self._rules(columns) if self.dictionary else [],
            gaps=self._gaps and any(c.missing for c in columns),
        )
        return self._request(prompt, columns_form(columns, self._gaps, self.ranges), columns_tokens(columns))

    def _correlations_request(self, names: Sequence[Sequence[str]]) -> Request:
        schema = self._schema
        every = sum(map(len, names))
        most = min(self.most_pairs, every * (every - 1) // 2)
        prompt = render(
            CORRELATIONS_TEMPLATE,
            **self._blocks(schema.columns),
            associations=self._associations(most) if self.access == Access.STATISTICS else [],
            most=most,
            target=schema.target,
            codes=[_names(c, schema)[-1] for c in schema.columns if len(c.codes) == 2 or not ordered(c)],
        )
        return self._request(prompt, correlations_form(names, most), correlations_tokens(names, most))

    def _associations(self, most: int) -> list[str]:
        """The strongest correlations of the train rows in words, those of the target first."""
        known, target = terms(self._schema), self._schema.target
        first, others = [], []
        for a, b, r in strongest(self._view.associations(), self.threshold):
            if target in (known[a].column, known[b].column):
                first.append((a, b, r) if known[a].column == target else (b, a, r))
            else:
                others.append((a, b, r))
        return gather((first + others)[:most], self._schema)

    def _blocks(self, columns: Sequence[Column]) -> dict[str, Any]:
        return {
            "database": introduce(self._view) if self.prior_knowledge else "",
            "dictionary": [{"name": c.name, "text": describe(c, self.dictionary)} for c in columns],
        }

    def _rules(self, columns: Sequence[Column]) -> list[str]:
        """The rules of the card that are about any of these columns, in words."""
        names = {column.name for column in columns}
        about = [rule for rule in self._schema.rules if names & {rule.left, rule.right, *rule.when}]
        return constrain(about, self._schema)

    def _request(self, prompt: str, form: Form, max_tokens: int) -> Request:
        structure = self.model.settings.structure
        index, self._requests = self._requests, self._requests + 1
        return Request(
            model=self.model.defining,
            messages=(Message(role="user", content=prompt),),
            form={"grammar": form, "json_schema": Form(json_schema=form.json_schema), "none": Form()}[structure],
            max_tokens=max_tokens,
            index=index,
            seed=derive(self._seed, "request", str(index)),
        )


def _names(column: Column, schema: TableSchema) -> list[str]:
    """What can be correlated of a column, as the statistics of the train rows call it."""
    if len(column.codes) == 2:
        return [f"{column.name}={indicated(column, schema)}"]
    return [column.name] if ordered(column) else [f"{column.name}={code}" for code in column.codes]


def _text(reply: Reply) -> str:
    """The reply's one choice; a refusal is a text without an object."""
    return reply.choices[0].text if reply.choices else ""
