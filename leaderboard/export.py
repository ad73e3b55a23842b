"""Tables to take away: LaTeX for a paper, Markdown, and CSV, JSON or Parquet in long form."""

from __future__ import annotations

import io
import json
import re
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv

from ..results.errors import UserError
from . import markdown, text
from .board import Score
from .naming import may_see, plain
from .views import views

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .board import Board, Column, Row
    from .views import View

WIDE = 6  # columns from which on a table is made to fit the page
# What LaTeX takes for a command, and the signs of ours that its oldest fonts lack.
LATEX = {
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "[": "{[}",
    "]": "{]}",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "◎": r"$\rightarrow$",
    "−": r"$-$",
    "–": "--",
    "·": r"$\cdot$",
    "×": r"$\times$",
    "…": r"\dots{}",
    "’": "'",
}
COLUMNS = pa.schema(
    [
        *((name, pa.string()) for name in ("protocol", "generator", "may_see", "kind")),
        *((name, pa.int64()) for name in ("cells", "of_cells")),
        *((name, pa.string()) for name in ("family", "metric", "variant")),
        ("version", pa.int64()),
        *((name, pa.string()) for name in ("unit", "direction")),
        *((name, pa.float64()) for name in ("mean", "low", "high")),
        *((name, pa.string()) for name in ("over", "mark")),
    ]
)
PRINTABLE = re.compile(r"[ -~]")


def export(board: Board, view: str, form: str, section: str = "") -> bytes:
    """One of the board's tables as a file.

    Args:
        board: to take it from.
        view: name of the table, see :func:`synthward.leaderboard.views.views`.
        form: ``latex``, ``markdown``, ``csv``, ``json`` or ``parquet``.
        section: name of a protocol; all of them if not given.

    Raises:
        UserError: there is no such protocol, or no such table in it.
    """
    chosen = [s for s in board.sections if not section or section in s.name.split(", ")]
    if not chosen:
        known = ", ".join(dict.fromkeys(s.name for s in board.sections))
        raise UserError(f"there is no protocol '{section}' among these records, only {known}")
    found = [known[view] for known in map(views, chosen) if view in known]
    if not found:
        names = dict.fromkeys(name for s in chosen for name in views(s))
        raise UserError(f"there is no table '{view}', only {', '.join(names)}")
    if form == "latex":
        return "\n".join(latex(v, board) for v in found).encode()
    if form == "markdown":
        return "\n".join(_markdown(v, board) for v in found).encode()
    return file(pa.concat_tables([tidy(v) for v in found]), form)


def tidy(view: View) -> pa.Table:
    """A table in long form: one row for each generator and column that has a value.

    Returns:
        Columns ``protocol``, ``generator``, ``may_see``, ``kind`` (complete, reference or incomplete), ``cells`` and
        ``of_cells`` (with a table, and that count), ``family``, ``metric``, ``variant``, ``version``, ``unit``,
        ``direction``, ``mean``, ``low``, ``high`` (95 % interval), ``over`` (what it resamples), ``mark``.
    """
    of_columns = [
        (c.card.family, c.card.name, c.variant, c.card.version, c.card.unit or "", c.card.direction)
        for c, _ in view.columns
    ]
    rows = []
    for row in view.section.rows:
        of_row = (view.section.name, row.label, may_see(row.facts), row.kind)
        for of_column, (_, scores) in zip(of_columns, view.columns, strict=True):
            s = scores.get(row.label)
            if s is not None and s.mean is not None:
                rows.append((*of_row, s.k or row.k, s.n or row.n, *of_column, s.mean, s.low, s.high, s.basis, s.mark))
    return arranged(rows, COLUMNS)


def arranged(rows: Iterable[Sequence[Any]], columns: pa.Schema) -> pa.Table:
    """Rows as a table of some columns."""
    values = list(zip(*rows, strict=True)) or [()] * len(columns)
    return pa.table([pa.array(own, kind) for own, kind in zip(values, columns.types, strict=True)], schema=columns)


def file(table: pa.Table, form: str) -> bytes:
    """A table in long form as ``csv``, ``json`` or ``parquet``."""
    if form == "json":
        return (json.dumps(table.to_pylist(), indent=1, ensure_ascii=False) + "\n").encode()
    sink = io.BytesIO()
    if form == "csv":
        csv.write_csv(table, sink, csv.WriteOptions(quoting_style="needed"))
    else:
        pq.write_table(table, sink)
    return sink.getvalue()


def _markdown(view: View, board: Board) -> str:
    return "\n".join([*markdown.table(view.section, view.columns), "", f"{markdown.escape(_caption(view, board))}", ""])


def _caption(view: View, board: Board) -> str:
    """What a reader needs to know of a table that stands alone."""
    section = view.section
    own = [c.card for c, _ in view.columns if c in section.columns]
    metrics = ", ".join(f"{card.name} {card.version}" for card in own)
    commits = ", ".join(board.software.get("commit", ()))
    over = sorted({s.basis for _, scores in view.columns for s in scores.values() if s.basis})
    facts = [
        f"Synthetic clinical tables: {view.title}",
        f"protocol {section.name} ({text.protocol(section)})" if section.name else text.protocol(section),
        view.scope,
        f"95 % bootstrap intervals over {' or '.join(over)} in brackets" if over else "",
        "incomplete rows lack cells and are not compared" if section.of_kind("incomplete") else "",
        f"versions of the metrics: {metrics}" if metrics else "",
        f"made by synthward {', '.join(board.software.get('synthward', ()))}" + (f" at {commits}" if commits else ""),
    ]
    return "; ".join(filter(None, facts)) + "."


def latex(view: View, board: Board) -> str:
    """A table for a paper, with booktabs and a caption that says what a reader needs to know of it."""
    columns = [column for column, _ in view.columns]
    heads = ["Generator", "May see", *(_escape(text.heading(c)) for c in columns)]
    marks = r" Bold: best; underlined: not told from the best; italics: reference rows."
    body = []
    for kind in dict.fromkeys(row.kind for row in view.section.rows):
        body += [r"\midrule", *(_latex_row(row, view.columns) for row in view.section.of_kind(kind))]
    table = [
        rf"\begin{{tabular}}{{ll{'r' * len(columns)}}}",
        r"\toprule",
        " & ".join(heads) + r" \\",
        *body,
        r"\bottomrule",
        r"\end{tabular}",
    ]
    if len(columns) >= WIDE:
        table = [r"\resizebox{\textwidth}{!}{%", *table[:-1], table[-1] + "}"]
    return "\n".join(
        [
            r"% needs \usepackage{booktabs,graphicx}",
            r"\begin{table}",
            r"\centering\small",
            rf"\caption{{{_escape(_caption(view, board))}{marks}}}",
            rf"\label{{tab:synthward-{re.sub('[^a-z0-9]+', '-', f'{view.section.name}-{view.name}'.lower())}}}",
            *table,
            r"\end{table}",
            "",
        ]
    )


def _latex_row(row: Row, columns: Sequence[tuple[Column, dict[str, Score]]]) -> str:
    label = _escape(row.label)
    name = {"complete": label, "reference": rf"\textit{{{label}}}", "incomplete": f"{label} (incomplete)"}[row.kind]
    scores = (_latex_score(known.get(row.label, Score(None)), row) for _, known in columns)
    return " & ".join([name, _escape(may_see(row.facts)), *scores]) + r" \\"


def _latex_score(score: Score, row: Row) -> str:
    value = _escape(text.number(score.mean))
    marked = {"best": rf"\textbf{{{value}}}", "tied": rf"\underline{{{value}}}", "": value}[score.mark]
    small = filter(None, (text.bounds(score), text.coverage(score, row)))
    return " ".join([marked, *(rf"{{\scriptsize {_escape(part)}}}" for part in small)])


def _escape(value: str) -> str:
    """Text that LaTeX prints as it is; a letter that its oldest fonts lack becomes a question mark."""
    return "".join(LATEX.get(c) or (c if PRINTABLE.match(c) else "?") for c in plain(value))
