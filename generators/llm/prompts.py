"""Prompts: those in ``templates/``, and how a schema card and its statistics are put into words."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from ...benchmarks.columns import Column, Kind, label
from ..summary import indicated

if TYPE_CHECKING:
    from jinja2 import Environment

    from ...benchmarks.schema import Rule, TableSchema
    from ..summary import Association
    from ..view import TrainView

FOLDER = Path(__file__).parent / "templates"
STANDARD_ERRORS = 2.0  # from zero, within which a correlation may be chance
VERBS = {"<": "is below", "<=": "is at most", ">": "is above", ">=": "is at least", "==": "is", "!=": "is not"}

Pair: TypeAlias = tuple[str, str, float]  # two names of associations, and their correlation


def render(template: str, **context: Any) -> str:
    """Fill in a template; a name that it needs and does not get is an error."""
    return _environment().get_template(template).render(context).strip()


def template_hash(template: str) -> str:
    """First 12 hex digits of the SHA-256 of a template's text."""
    return hashlib.sha256((FOLDER / template).read_bytes()).hexdigest()[:12]


def introduce(view: TrainView) -> str:
    """The title and the description of a table, of which either may be lacking."""
    return " ".join(f"{text.removesuffix('.')}." for text in (view.title, view.description) if text)


def describe(column: Column, meaning: bool = True, facts: Mapping[str, Any] | None = None, gaps: bool = False) -> str:
    """What a column holds, in one line: ``age at admission, years, whole number from 18 to 95``.

    Args:
        column: of the card.
        meaning: whether to tell the column's and its codes' meanings, as far as they say more than the names; else
            only what values it takes.
        facts: its summary in the train rows, to be told with it, but for how many are missing.
        gaps: whether to tell that a value may be missing.
    """
    purpose = column.meaning if meaning and _adds(column.meaning, column.name) else ""
    values = _range(column, meaning) if column.numeric else _options(column, meaning, facts and facts["shares"])
    text = (", " if column.numeric else ": ").join(filter(None, (purpose, values)))
    text += ", may be missing" if gaps and column.missing else ""
    return "; ".join(filter(None, (text, _moments(column, facts or {}))))


def tell(column: Column, facts: Mapping[str, Any]) -> str:
    """The summary of a column in words: mean, SD and percentiles, or shares of codes; and how many are missing.

    The smallest and the largest value are left out: each is one patient's.
    """
    shares = sorted(facts.get("shares", {}).items(), key=lambda item: -item[1])
    parts = [_moments(column, facts), ", ".join(f"{code} {_percent(share)}" for code, share in shares)]
    parts += [f"missing in {_percent(facts['missing'])}"] if facts["missing"] > 0 else []
    return "; ".join(filter(None, parts))


def constrain(rules: Iterable[Rule], schema: TableSchema) -> list[str]:
    """Rules of a card in words: ``age is below 65 if meno is 0``. Those with one conclusion are told together."""
    told: dict[str, list[str]] = {}
    for rule in rules:
        right = rule.when.get(str(rule.right), rule.right)  # a column of which the rule itself gives the code
        right = right if right in schema.names else _quoted(label(right))
        case = " and ".join(f"{name} is {_quoted(code)}" for name, code in rule.when.items())
        told.setdefault(f"{rule.left} {VERBS[rule.op]} {right}", []).append(case)
    return [f"{fact} if {' or '.join(cases)}" if all(cases) else fact for fact, cases in told.items()]


def strongest(
    associations: Mapping[tuple[str, str], Association], threshold: float, errors: float = STANDARD_ERRORS
) -> list[Pair]:
    """Pairs whose correlation is worth telling, the strongest first.

    Args:
        associations: pair of names to correlation and number of rows.
        threshold: absolute correlation from which a pair is told.
        errors: standard errors that it must be away from zero; of a chance correlation in ``n`` rows, one is
            ``1 / sqrt(n)``.
    """
    strong = {pair: r for pair, (r, n) in associations.items() if abs(r) >= max(threshold, errors / math.sqrt(n))}
    return sorted(((a, b, r) for (a, b), r in strong.items()), key=lambda pair: (-abs(pair[2]), pair))


def gather(pairs: Iterable[Pair], schema: TableSchema) -> list[str]:
    """Associations in fewer words: ``age with died=yes +0.32, creatinine +0.25``, each pair once."""
    said = _said(schema)
    lines: dict[str, list[str]] = {}
    for a, b, r in pairs:
        first, second = (b, a) if b in lines and a not in lines else (a, b)
        lines.setdefault(first, []).append(f"{said[second]} {r:+.2f}")
    return [f"{said[first]} with {', '.join(others)}" for first, others in lines.items()]


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
    return round(middle, column.places)


def _range(column: Column, meaning: bool) -> str:
    unit = column.unit if meaning and _adds(column.unit or "", f"{column.name} {column.meaning}") else ""
    kind = "whole number" if column.kind is Kind.INTEGER else "number"
    bounds = "from {} to {}".format(*map(label, column.bounds)) if column.bounds else ""
    return f"{unit}, {kind} {bounds}".strip(", ")


def _options(column: Column, meaning: bool, shares: Mapping[str, float] | None) -> str:
    codes = []
    for code, sense in column.codes.items():
        text = json.dumps(code, ensure_ascii=False) if "," in code or not code.strip() else code
        text += f" ({sense})" if meaning and _adds(sense, code) else ""
        codes.append(text if shares is None else f"{text} {_percent(shares.get(code, 0.0))}")
    last = " or " if shares is None else ", "
    listed = last.join(filter(None, (", ".join(codes[:-1]), codes[-1])))
    return f"in order {listed}" if column.kind is Kind.ORDINAL else listed


def _adds(text: str, known: str) -> bool:
    """Whether a text says more than what is known already: ``female`` does not of the code ``Female``."""
    return bool(text) and not _words(text) <= _words(known)


def _words(text: str) -> set[str]:
    return set(re.findall(r"[^\W_]+", text.casefold())) or {text}


def _quoted(code: str) -> str:
    """A code within a sentence: in quotes if it could be taken for something else."""
    return code if re.fullmatch(r"\w([\w.+/-]*\w)?", code) else json.dumps(code, ensure_ascii=False)


def _said(schema: TableSchema) -> dict[str, str]:
    """What the names of associations are called: of two codes, the one that counts is said."""
    said = {c.name: c.name for c in schema.columns}
    said |= {f"{c.name}={code}": f"{c.name}={_quoted(code)}" for c in schema.columns for code in c.codes}
    return said | {c.name: said[f"{c.name}={indicated(c, schema)}"] for c in schema.columns if len(c.codes) == 2}


def _percent(share: float) -> str:
    return "<0.1%" if 0 < share < 0.0005 else f"{100 * share:.1f}".removesuffix(".0") + "%"


def _moments(column: Column, facts: Mapping[str, Any]) -> str:
    """Mean, SD and percentiles, to the digit that is about a hundredth of the SD."""
    if "mean" not in facts:
        return ""
    places = 2 - math.floor(math.log10(facts["sd"])) if facts["sd"] > 0 else column.places
    low, quarter, middle, three, high = (_rounded(q, min(places, column.places)) for q in facts["quantiles"])
    mean, sd = _rounded(facts["mean"], places), _rounded(facts["sd"], places)
    return f"mean {mean}, SD {sd}, median {middle}, half from {quarter} to {three}, 90% from {low} to {high}"


def _rounded(value: float, places: int) -> str:
    text = f"{round(value, places):.{max(0, places)}f}"
    return text.rstrip("0").removesuffix(".") if "." in text else text


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    loader = FileSystemLoader(FOLDER)
    return Environment(loader=loader, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False)
