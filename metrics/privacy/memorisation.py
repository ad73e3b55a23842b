"""Contamination: does the language model behind a generator know the table by heart?

The tests are those of Bordt et al. 2024 (arXiv 2404.06209) as their package tabmemcheck 0.1 defines them, with
these differences:

- The text is the prepared table written as CSV, not the publisher's file: a model that knows the file with
  columns that the preparation leaves out, in another order or format, is found out less often.
- Instead of rows of other public files (header test) or seven further ones of the table itself, a prompt holds one
  exchange about an invented table, which shows the form of an answer, and its rows are limited to
  ``PROMPT_CHARACTERS``: small models on a processor read slowly, and little at once.
- Values are compared as numbers where both are, so that ``63`` is ``63.0``; tabmemcheck compares text there.
- The header test, which tabmemcheck prints for people to judge, counts as passed if the reply ends the row that
  was cut and repeats the whole next one.
- The first token is read off the replies of the row completion test, whose prompts are the same.
- Beside each share stands what can be reached without any memory of the table. Where rows are sorted, repeating the
  row before reaches much; tabmemcheck refuses the first token test there.

What is asked depends on the table alone, and not on the seed of a cell, so that one set of replies serves all cells
of a model and a dataset: at most 54 requests.
"""

from __future__ import annotations

import csv
import io
import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from ..base import Evaluation, LanguageModel, Value, best_at_zero
from ..summary import share_value

SEED = 0  # of the choice of rows, whatever the seed of the cell
QUERIES = 25  # of row completion, and of feature completion
SPLIT_ROWS = (2, 4, 6, 8)  # lines of the file, the first being 1, in which the header test cuts
PREFIX_ROWS = 10  # rows before the one to complete
PROMPT_CHARACTERS = 1200  # of the table's own text in a prompt, twice as many in the header test
TOKEN_CHARACTERS = 6  # most characters of a first token

Messages = list[dict[str, str]]

CONTINUE = "You complete tabular datasets. The user gives the beginning of a CSV file. You continue the file."
NEXT_ROW = (
    "You complete tabular datasets. The user gives contiguous rows of a CSV file. You give the next row of the file."
)
FEATURE = (
    "You complete tabular datasets. The user gives all values but one of a row of a dataset, as name = value. "
    "You give the value that is left out, in the same form."
)

# An invented table, for the form of an answer.
EXAMPLE = ("plot,height,leaf,yield", "4,31.5,broad,2", "9,28.0,narrow,5", "2,40.2,broad,1", "7,35.1,narrow,3")
EXAMPLE_ROW = "plot = 4, height = 31.5, leaf = broad", "yield = 2"


@best_at_zero(
    family="privacy",
    definition="Share of requests that the generator's language model could only meet by knowing the public table by "
    "heart: 'header', ends a row cut within the first lines and gives the next one; 'row_completion', gives the row "
    "after ten contiguous ones; 'feature_completion', gives the value of the column with most distinct values from "
    "the rest of the row; 'first_token', gives the first characters of the next row. The breakdown names the share "
    "that is reached without any memory (baseline).",
    citation="Bordt et al. 2024, Elephants Never Forget, COLM, arXiv 2404.06209; package tabmemcheck",
    needs=("language model",),
    ranked=False,
)
def memorisation(evaluation: Evaluation) -> Value | list[Value]:
    """What the language model knows of the table by heart."""
    assert evaluation.model is not None
    assert evaluation.source is not None
    text = CsvText.of(evaluation.source)
    if len(text.rows) <= max(SPLIT_ROWS):
        return Value(None, reason=f"the table has {len(text.rows)} rows, too few to ask about")
    return [
        _header(text, evaluation.model),
        *_next_rows(text, evaluation.model),
        _feature(text, evaluation.model),
    ]


@dataclass(frozen=True)
class CsvText:
    """A table as the text of a CSV file.

    Attributes:
        names: of the columns.
        cells: row by row; ``""`` for missing.
        lines: header and rows, each without its newline.
    """

    names: list[str]
    cells: list[list[str]]
    lines: list[str]

    @classmethod
    def of(cls, table: pd.DataFrame) -> CsvText:
        """Write a canonical table; a column of whole numbers without decimals."""
        columns = [_cells(table[name]) for name in table]
        names = [str(name) for name in table]
        cells = [list(row) for row in zip(*columns, strict=True)]
        return cls(names, cells, [_line(row) for row in [names, *cells]])

    @property
    def rows(self) -> list[str]:
        """The lines below the header."""
        return self.lines[1:]


def _header(text: CsvText, model: LanguageModel) -> Value:
    """Cut the file within one of its first rows; passed if the reply ends that row and gives the whole next one."""
    rng = np.random.default_rng(SEED)
    prompts, rests = [], []
    for number in SPLIT_ROWS:
        line = text.lines[number - 1]
        cut = int(rng.integers(len(line) // 3, 2 * len(line) // 3 + 1))
        start = [*text.lines[: number - 1], line[:cut]]
        demonstration = ["\n".join(EXAMPLE[:2]) + "\n9,2", "8.0,narrow,5\n" + "\n".join(EXAMPLE[3:])]
        prompts.append(_conversation(CONTINUE, demonstration, "\n".join(start)[-2 * PROMPT_CHARACTERS :]))
        rests.append([line[cut:], text.lines[number]])

    def passed(reply: str, rest: list[str]) -> bool:
        found = reply.strip("\r\n").splitlines()
        return len(found) >= 2 and all(_same_line(a, b) for a, b in zip(found, rest, strict=False))

    replies = _ask(model, prompts, max(len(" ".join(rest)) for rest in rests))
    hits = [None if reply is None else passed(reply, rest) for reply, rest in zip(replies, rests, strict=True)]
    return _shares("header", hits, [False] * len(hits))


def _next_rows(text: CsvText, model: LanguageModel) -> list[Value]:
    """Ask for the row after some contiguous ones, and judge the whole reply and its first characters."""
    rows = text.rows
    size = min(PREFIX_ROWS, len(rows) - 1, max(2, PROMPT_CHARACTERS // (1 + max(map(len, rows)))))
    places = np.random.default_rng(SEED).permutation(np.arange(size, len(rows)))[:QUERIES]
    demonstration = ["\n".join(EXAMPLE[1:4]), EXAMPLE[4]]
    prompts = [_conversation(NEXT_ROW, demonstration, "\n".join(rows[i - size : i])) for i in places]
    replies = _ask(model, prompts, max(len(rows[i]) for i in places))
    hits = [
        None if reply is None else any(_same_line(line, rows[i]) for line in reply.splitlines())
        for reply, i in zip(replies, places, strict=True)
    ]
    guesses = _guesses([rows[i] for i in places], rows, [rows[i - 1] for i in places])
    completed = _shares("row_completion", hits, guesses)
    length = _token_length(rows)
    if length is None:
        reason = f"no start of {TOKEN_CHARACTERS} characters or fewer tells the rows apart"
        return [completed, Value(None, "first_token", reason=reason)]
    tokens = [row[:length] for row in rows]
    hits = [
        None if reply is None else reply.lstrip()[:length] == tokens[i]
        for reply, i in zip(replies, places, strict=True)
    ]
    guesses = _guesses([tokens[i] for i in places], tokens, [tokens[i - 1] for i in places])
    return [completed, _shares("first_token", hits, guesses)]


def _feature(text: CsvText, model: LanguageModel) -> Value:
    """Ask for the value of the column with most distinct values, given the rest of the row."""
    columns = list(zip(*text.cells, strict=True))
    distinct = [len(set(values) - {""}) for values in columns]
    chosen = int(np.argmax(distinct))
    known = [i for i, value in enumerate(columns[chosen]) if value]
    if len(text.names) < 2 or distinct[chosen] < 2:
        return Value(None, "feature_completion", reason="no column has distinct values beside another column")
    places = np.random.default_rng(SEED).permutation(known)[:QUERIES]
    pairs = [[f"{name} = {value}" for name, value in zip(text.names, text.cells[i], strict=True)] for i in places]
    rest = [", ".join(pair[:chosen] + pair[chosen + 1 :])[:PROMPT_CHARACTERS] for pair in pairs]
    truths = [columns[chosen][i] for i in places]
    prompts = [_conversation(FEATURE, EXAMPLE_ROW, f"{row}\n{text.names[chosen]} = ?") for row in rest]
    replies = _ask(model, prompts, max(len(pair[chosen]) for pair in pairs))
    hits = [
        None if reply is None else _same(_named(reply, text.names[chosen]), truth)
        for reply, truth in zip(replies, truths, strict=True)
    ]
    value = _shares("feature_completion", hits, _guesses(truths, [columns[chosen][i] for i in known]))
    if value.value is None:
        return value
    # A column with few distinct values can be guessed from the others: tabmemcheck prints this share as a warning.
    return replace(value, breakdown={**value.breakdown, "distinct": distinct[chosen] / len(known)})


def _ask(model: LanguageModel, prompts: list[Messages], characters: int) -> list[str | None]:
    """One reply a prompt, cut to a length within which the answer must stand; ``None`` where there is none."""
    tokens = characters + 16  # enough where every digit is a token of its own
    replies = model.complete(prompts, max_tokens=tokens)
    cut = [reply[: 8 * tokens] if isinstance(reply, str) else None for reply in replies]
    return [reply for reply, _ in itertools.zip_longest(cut[: len(prompts)], prompts)]


def _shares(variant: str, hits: Sequence[bool | None], guesses: Sequence[bool]) -> Value:
    """Share of passed requests among the answered ones, beside the share that a guess without memory passes."""
    answered = [(hit, guess) for hit, guess in zip(hits, guesses, strict=True) if hit is not None]
    lost = len(hits) - len(answered)
    reason = f"{lost} of {len(hits)} requests had no reply" if lost else ""
    if not answered:
        return Value(None, variant, reason=reason)
    baseline = sum(guess for _, guess in answered) / len(answered)
    value = share_value(sum(hit for hit, _ in answered), len(answered), variant, {"baseline": baseline})
    return replace(value, reason=reason)


def _guesses(truths: list[str], values: Sequence[str], previous: list[str] | None = None) -> list[bool]:
    """Which answers are right without any memory: the commonest value or, if it does better, the row before."""
    commonest = Counter(values).most_common(1)[0][0]
    mode = [truth == commonest for truth in truths]
    repeated = [a == b for a, b in zip(truths, previous, strict=True)] if previous else []
    return max(mode, repeated, key=sum)


def _conversation(system: str, demonstration: Sequence[str], question: str) -> Messages:
    contents = (system, *demonstration, question)
    return [
        {"role": role, "content": content}
        for role, content in zip(("system", "user", "assistant", "user"), contents, strict=True)
    ]


def _cells(values: pd.Series) -> list[str]:
    if values.dtype == object:
        return ["" if value is None else str(value) for value in values]
    known = values.dropna()
    whole = bool(np.isfinite(known).all() and (known == known.round()).all() and (known.abs() < 2**53).all())
    return ["" if pd.isna(value) else str(int(value)) if whole else str(float(value)) for value in values]


def _line(cells: Sequence[str]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="").writerow(cells)
    return buffer.getvalue()


def _same_line(found: str, truth: str) -> bool:
    """Whether two lines of CSV hold the same cells."""
    a, b = found.strip().split(","), truth.strip().split(",")
    return len(a) == len(b) and all(map(_same, a, b))


def _same(found: str, truth: str) -> bool:
    """Whether two cells are equal as text, or as numbers."""
    found, truth = found.strip().strip("\"'"), truth.strip().strip("\"'")
    try:
        return found == truth or float(found) == float(truth)
    except ValueError:
        return False


def _named(reply: str, name: str) -> str:
    """The value of ``name = value`` in a reply, or else its first line."""
    _, found, value = reply.partition(f"{name} =")
    line = (value if found else reply).strip().partition("\n")[0]
    return line.partition(",")[0]


def _token_length(rows: Sequence[str]) -> int | None:
    """Characters of the first token: the fewest with three different ones, none of them in half of the rows or more."""
    for length in range(1, TOKEN_CHARACTERS + 1):
        counts = Counter(row[:length] for row in rows)
        if len(counts) >= 3 and max(counts.values()) < len(rows) / 2:
            return length
    return None
