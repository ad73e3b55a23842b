"""Generators that let a language model write rows: the loop from prompts to valid rows."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from ...benchmarks.columns import Column
from ...benchmarks.schema import TableSchema
from ...benchmarks.seeds import derive
from ...results.errors import UserError
from .base import LLMGenerator
from .budget import tokens_of
from .exchange import Form, Message, Request, Usage
from .failures import DeadlineError
from .formats import FORMATS
from .judging import accept
from .prompts import constrain, describe, fictitious, introduce, render, template_hash

if TYPE_CHECKING:
    import pandas as pd

    from ..view import TrainView
    from .exchange import Choice, Reply

TEMPLATE = "rows.j2"
CHARACTERS_PER_TOKEN = 1.5  # fewer than any row has, so that no row is cut off
ROOM = 48  # tokens beyond the length of an example row
ENOUGH = 200  # rows read after which the share of valid ones tells whether to go on
LEAST_YIELD = 0.05


@dataclass(eq=False)
class RowWriter(LLMGenerator):
    """A generator whose rows are written by a language model.

    The model is asked for rows until there are as many valid ones as wanted: each request has a seed
    of its own and, with ``shuffle``, its own order of columns. Replies are read leniently and judged
    strictly, row by row; rejected rows are counted by reason and never repaired.

    Attributes:
        llm: the ``llm`` group of the configuration.
        prior_knowledge: tell which database it is, and who its patients are.
        dictionary: tell what columns and codes mean; else only the values they take.
        shuffle: put the columns in a new order in every request.
    """

    version = "1"

    prior_knowledge: bool = True
    dictionary: bool = True
    shuffle: bool = True

    def fit(self, view: TrainView, seed: int) -> Self:
        self._view = view
        self._schema = self._asked(view.schema)
        self._fit_seed = seed
        return self

    def sample(self, n: int, seed: int) -> pd.DataFrame:
        import pandas as pd

        self._open(self._view)
        self._tally = tally = Tally()
        tables: list[pd.DataFrame] = []
        asked = 0
        while tally.valid < n and not tally.ended:
            turn = self._turn(n - tally.valid, asked, seed)
            asked += len(turn)
            for request, reply, order in self._answers(turn):
                tables += [self._read(choice, order) for choice in reply.choices]
                tally.judge(self.model.settings.max_rejects)
                if tally.ended:
                    self._client.end(request, tally.ended)
                    break
        if not tally.valid:
            raise UserError(f"the model wrote no valid row: {tally.ended} ({tally.why()})")
        return pd.concat([t for t in tables if len(t)], ignore_index=True).head(n)

    def details(self) -> dict[str, Any]:
        account, tally = self._account(), self._tally
        tokens = account["prompt_tokens"] + account["completion_tokens"]
        account |= {
            "prompt_template": template_hash(TEMPLATE),
            "rows_read": tally.read,
            "rejects": dict(sorted(tally.rejects.items())),
            "tokens_per_valid_row": round(tokens / tally.valid, 2) if tally.valid else None,
        }
        return {"llm": account | ({"ended": tally.ended} if tally.ended else {}), **self._served("sample")}

    def _expected(self, n: int) -> tuple[int, Usage]:
        settings = self.model.settings
        request = self._request(list(self._schema.columns), n, 0, 0)
        calls = -(-n // (settings.draws * settings.rows_per_reply))
        example = fictitious(self._schema.columns, self._view.example)
        row = round(len(FORMATS[settings.format].write(example, self._schema.columns)) / CHARACTERS_PER_TOKEN)
        prompt = tokens_of(*(m.content for m in request.messages))
        return calls, Usage(prompt_tokens=calls * prompt, completion_tokens=n * row)

    @abstractmethod
    def _blocks(self, order: Sequence[Column], index: int) -> dict[str, Any]:
        """What this generator puts into the prompt beside the dictionary: ``statistics``, ``examples`` ..."""

    def _asked(self, schema: TableSchema) -> TableSchema:
        """The schema that rows are held to: where gaps are not reproduced, no value may be missing."""
        if self.missing == "reproduced":
            return schema
        columns = tuple(c.model_copy(update={"missing": False}) for c in schema.columns)
        return schema.model_copy(update={"columns": columns})

    def _order(self, seed: int) -> list[Column]:
        import numpy as np

        columns = list(self._schema.columns)
        return [columns[i] for i in np.random.default_rng(seed).permutation(len(columns))] if self.shuffle else columns

    def _turn(self, missing: int, asked: int, seed: int) -> list[tuple[Request, list[Column]]]:
        """Requests for all rows that are missing, each with its order of columns.

        What they are follows from the seed and from what the turns before made of their replies: not from how
        fast replies came, or how many were asked for at a time.
        """
        settings = self.model.settings
        turn = []
        for index, rows in enumerate(_portions(missing, settings.draws * settings.rows_per_reply), asked):
            order = self._order(derive(seed, "order", str(index)))
            turn.append((self._request(order, rows, index, seed), order))
        return turn

    def _answers(self, turn: Sequence[tuple[Request, list[Column]]]) -> Iterator[tuple[Request, Reply, list[Column]]]:
        """Requests that were answered, in their order, until the cell's time is over.

        A few requests at a time, so that a model that writes nothing of use is found out before much is spent.
        What is already there counts beyond the deadline, too: from the cache, or from the transcript of a run
        that met its own.
        """
        settings = self.model.settings
        few = 1 if settings.endpoint == "replay" else len(turn) if settings.batch else 4 * settings.concurrency
        ended = ""
        for start in range(0, len(turn), few):
            wave = turn[start : start + few]
            replies: Sequence[Reply | None]
            try:
                replies = self._client.complete([request for request, _ in wave])
            except DeadlineError as error:
                replies, ended = error.replies, str(error)
            yield from ((asked, reply, order) for reply, (asked, order) in zip(replies, wave, strict=True) if reply)
        self._tally.ended = ended

    def _request(self, order: Sequence[Column], rows: int, index: int, seed: int) -> Request:
        """The request number ``index`` of a run, for at least ``rows`` rows."""
        settings = self.model.settings
        format = FORMATS[settings.format]
        per_reply = min(rows, settings.rows_per_reply)
        blocks = {"statistics": {}, "associations": (), "examples": (), "real": False, **self._blocks(order, index)}
        facts, gaps = blocks["statistics"], self.missing == "reproduced"
        texts = [describe(c, self.dictionary, facts.get(c.name), gaps) for c in order]
        blocks["examples"] = [format.write(row, order) for row in blocks["examples"]]
        longest = max([len(line) for line in blocks["examples"]] or [sum(12 + len(c.name) for c in order)])
        prompt = render(
            TEMPLATE,
            **blocks,
            database=introduce(self._view) if self.prior_knowledge else "",
            columns=[{"name": c.name, "text": text} for c, text in zip(order, texts, strict=True)],
            rules=constrain(self._schema.rules, self._schema) if self.dictionary else (),
            header=format.header(order),
            gaps=gaps and any(c.missing for c in order),
            rows=per_reply,
            format=settings.format,
            wrapped=settings.structure == "json_schema",
        )
        form = format.form(order, per_reply) if settings.structure != "none" else Form()
        return Request(
            model=self.model.defining,
            messages=(Message(role="user", content=prompt),),
            form=form if settings.structure == "grammar" else Form(json_schema=form.json_schema),
            max_tokens=round(per_reply * (longest / CHARACTERS_PER_TOKEN + ROOM)),
            draws=-(-rows // per_reply),
            index=index,
            seed=derive(seed, "request", str(index)),
        )

    def _read(self, choice: Choice, order: Sequence[Column]) -> pd.DataFrame:
        """The valid rows of one reply; the others are counted."""
        settings = self.model.settings
        rows = FORMATS[settings.format].read(choice.text, order, cut=choice.finish == "length")
        accepted = accept(rows[: settings.rows_per_reply], self._schema)
        rejects = Counter(accepted.rejects)
        if choice.refusal or choice.finish == "content_filter":
            rejects["refusal"] += 1
        elif not rows:
            rejects["no row"] += 1
        rejects["more rows than asked"] += max(0, len(rows) - settings.rows_per_reply)
        self._tally.add(len(accepted.table), +rejects)
        return accepted.table


@dataclass
class Tally:
    """How a run stands: valid rows, rejects by reason, and whether to go on."""

    valid: int = 0
    rejects: Counter[str] = field(default_factory=Counter)
    barren: int = 0
    ended: str = ""

    @property
    def read(self) -> int:
        """Rows read, valid or not; a reply without any counts as one."""
        return self.valid + self.rejects.total()

    def add(self, valid: int, rejects: Counter[str]) -> None:
        """Take in one reply."""
        self.valid += valid
        self.rejects += rejects
        self.barren = 0 if valid else self.barren + 1

    def judge(self, max_rejects: int) -> None:
        """Give up on a model that hardly writes a valid row."""
        if self.ended:
            return
        if self.barren >= max_rejects:
            self.ended = f"the last {self.barren} replies held no valid row (llm.max_rejects={max_rejects})"
        elif self.read >= ENOUGH and self.valid < LEAST_YIELD * self.read:
            self.ended = f"{self.valid} of {self.read} rows were valid"

    def why(self) -> str:
        """The most frequent reasons for rejection."""
        return ", ".join(f"{reason}: {count}" for reason, count in self.rejects.most_common(5)) or "no reply"


def _portions(rows: int, most: int) -> list[int]:
    """Rows to ask for in each of the next requests, no more than ``most`` in one."""
    whole, rest = divmod(rows, most)
    return [most] * whole + ([rest] if rest else [])
