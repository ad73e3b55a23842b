"""Prompts: those in ``templates/``, and how a schema card and its statistics are put into words."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...benchmarks.columns import Column, Kind
from ..summary import indicated

if TYPE_CHECKING:
    from jinja2 import Environment

    from ...benchmarks.schema import TableSchema

FOLDER = Path(__file__).parent / "templates"


def render(template: str, **context: Any) -> str:
    """Fill in a template; a name that it needs and does not get is an error."""
    return _environment().get_template(template).render(context).strip()


def template_hash(template: str) -> str:
    """First 12 hex digits of the SHA-256 of a template's text."""
    return hashlib.sha256((FOLDER / template).read_bytes()).hexdigest()[:12]


def describe(column: Column, meaning: bool = True) -> str:
    """What a column holds, in one line: ``age at admission, years, a whole number from 18 to 95``.

    Args:
        column: of the card.
        meaning: whether to tell the column's and its codes' meanings; else only what values it takes.
    """
    parts = [column.meaning] if meaning and column.meaning else []
    if column.numeric:
        parts += [column.unit] if meaning and column.unit else []
        kind = "a whole number" if column.kind is Kind.INTEGER else "a number"
        bounds = f" from {column.bounds[0]:g} to {column.bounds[1]:g}" if column.bounds else ""
        parts.append(kind + bounds)
    else:
        order = "in this order one of" if column.kind is Kind.ORDINAL else "one of"
        codes = (f"{c} ({m})" if meaning and m and m != c else c for c, m in column.codes.items())
        parts.append(f"{order}: {', '.join(codes)}")
    return ", ".join(parts)


def tell(column: Column, facts: Mapping[str, Any]) -> str:
    """The summary of a column in words: mean, SD and percentiles, or shares of codes.

    The smallest and the largest value are left out: each is one patient's.
    """
    parts = []
    if "shares" in facts:
        shares = sorted(facts["shares"].items(), key=lambda item: -item[1])
        parts.append(", ".join(f"{code} {share:.1%}" for code, share in shares))
    elif "mean" in facts:
        low, quarter, middle, three, high = (f"{q:.4g}" for q in facts["quantiles"])
        parts.append(f"mean {facts['mean']:.4g}, SD {facts['sd']:.3g}, median {middle}")
        parts.append(f"half of the values from {quarter} to {three}, 90 % from {low} to {high}")
    if facts["missing"] > 0:
        parts.append(f"missing in {facts['missing']:.1%}")
    return "; ".join(parts)


def relate(
    associations: Mapping[tuple[str, str], float], schema: TableSchema, threshold: float, most: int
) -> list[str]:
    """The strongest associations in words: ``age and died=yes: r = +0.32``.

    Args:
        associations: pair of names to correlation.
        schema: of the table.
        threshold: absolute correlation from which a pair is told.
        most: number of pairs that are told at most, the strongest ones.
    """
    strong = sorted((-abs(r), a, b, r) for (a, b), r in associations.items() if abs(r) >= threshold)
    said = {c.name: f"{c.name}={indicated(c, schema)}" for c in schema.columns if len(c.codes) == 2}
    return [f"{said.get(a, a)} and {said.get(b, b)}: r = {r:+.2f}" for _, a, b, r in strong[:most]]


def fictitious(columns: Sequence[Column], given: Mapping[str, Any]) -> dict[str, Any]:
    """An invented row for a prompt: what the card gives as its example, else the middle of what is possible.

    Args:
        columns: of the table.
        given: the example of the card, by column; it need not be whole.
    """
    return {c.name: given[c.name] if c.name in given else _middle(c) for c in columns}


def _middle(column: Column) -> float | str:
    if not column.numeric:
        codes = list(column.codes)
        return codes[(len(codes) - 1) // 2 if column.kind is Kind.ORDINAL else 0]
    low, high = column.bounds or (0.0, 100.0)
    middle = (low + high) / 2
    return float(round(middle)) if column.kind is Kind.INTEGER else round(middle, column.decimals or 1)


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    loader = FileSystemLoader(FOLDER)
    return Environment(loader=loader, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False)
