"""A distribution specification read from text of unknown origin: bounded in size, no name or family but ours."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, NoReturn

from pydantic import ValidationError

from ...benchmarks.schema import Column, TableSchema
from .distribution import MAX_CORRELATIONS, CodeColumn, Columns, Correlation, NumberColumn, Problem, Specification
from .specification_check import check

MAX_CHARACTERS = 262_144  # of a specification as text


def read_specification(text: str) -> tuple[Specification | None, list[Problem]]:
    """Read a whole specification from JSON, without holding it against a card yet."""
    found, problems = decode(text)
    if found is None:
        return None, problems
    try:
        return Specification.model_validate(found), []
    except ValidationError as error:
        return None, [Problem("", _reason(error), False)]


def read_columns(text: str, columns: Iterable[Column], schema: TableSchema) -> tuple[Columns, list[Problem]]:
    """Read the columns of a specification that are in order, for these columns of the card.

    Args:
        text: a JSON object of column name to margin; untrusted.
        columns: those that are asked for.
        schema: of the table.

    Returns:
        Those that were accepted, and the problems of all.
    """
    found, problems = decode(text)
    if found is None:
        return {}, problems
    asked = {column.name: column for column in columns}
    problems = [Problem("", "unknown column", True) for name in found if name not in asked]
    accepted: Columns = {}
    for name, column in asked.items():
        if name not in found:
            problems.append(Problem(name, "not specified", False))
            continue
        try:
            stated = (NumberColumn if column.numeric else CodeColumn).model_validate(found[name])
        except ValidationError as error:
            problems.append(Problem(name, _reason(error), False))
            continue
        checked, amiss = check(stated, column, schema)
        problems += amiss
        if checked is not None:
            accepted[name] = checked
    return accepted, problems


def read_correlations(text: str) -> tuple[tuple[Correlation, ...] | None, list[Problem]]:
    """Read the correlations that are in order from ``{"correlations": [{"a": ..., "b": ..., "r": ...}, ...]}``.

    Returns:
        Those that are well formed, or ``None`` if there is no such list; and the problems.
    """
    found, problems = decode(text)
    if found is None:
        return None, problems
    listed = found.get("correlations")
    if not isinstance(listed, list):
        return None, [Problem("", "no list of correlations", False)]
    if len(listed) > MAX_CORRELATIONS:
        return None, [Problem("", f"more than {MAX_CORRELATIONS} correlations", False)]
    accepted = []
    for entry in listed:
        try:
            accepted.append(Correlation.model_validate(entry))
        except ValidationError as error:
            problems.append(Problem("", f"correlation: {_reason(error)}", True))
    return tuple(accepted), problems


def decode(text: str) -> tuple[dict[str, Any] | None, list[Problem]]:
    """The first JSON object of a text, within bounds.

    Returns:
        The object, or ``None`` and why there is none.
    """

    def refuse(_: str) -> NoReturn:
        raise ValueError

    def distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            raise ValueError
        return found

    if len(text) > MAX_CHARACTERS:
        return None, [Problem("", f"longer than {MAX_CHARACTERS} characters", False)]
    decoder = json.JSONDecoder(parse_constant=refuse, object_pairs_hook=distinct)
    try:
        found, _ = decoder.raw_decode(text[text.index("{") :])
    except (ValueError, RecursionError):  # a name that stands twice, NaN and endless digits are ValueErrors too
        return None, [Problem("", "no complete JSON object", False)]
    return found, []


def _reason(error: ValidationError) -> str:
    """What pydantic found first, by field and kind of error, without the text that it read."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    known = {*NumberColumn.model_fields, *CodeColumn.model_fields, *Correlation.model_fields, "columns", "correlations"}
    field = next((str(part) for part in first["loc"] if part in known), "")
    return f"{field}: {first['type']}".removeprefix(": ").replace("_", " ")
