"""GBNF, the grammar notation of llama.cpp: a model held to one can only write values that the schema card allows.

Only what the card forbids is forbidden: a number has the card's decimals and bounds, a code is one of the
column's. The notation: https://github.com/ggml-org/llama.cpp/blob/master/grammars/README.md
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction

from ...benchmarks.columns import Column, Kind
from ...results.errors import UserError

UNBOUNDED_DIGITS = 9
"""Most digits before the point of a number without bounds."""

_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


class Rules:
    """The rules of one grammar. Equal fragments share a rule, which keeps the grammar of a wide table small."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def name(self, fragment: str) -> str:
        """The name of the rule that stands for a fragment."""
        return self._names.setdefault(fragment, f"v{len(self._names)}")

    def lines(self, line: str, count: int) -> str:
        """The grammar of exactly ``count`` lines.

        Args:
            line: fragment of one line.
            count: one at least. No line break follows the last line: the reply ends there.
        """
        more = {1: "", 2: ' "\\n" row'}.get(count, f' ("\\n" row){{{count - 1}}}')
        rules = {"root": f"row{more}", "row": line} | {name: fragment for fragment, name in self._names.items()}
        return "".join(f"{name} ::= {fragment}\n" for name, fragment in rules.items())


def literal(text: str) -> str:
    """A fragment that matches one text."""
    return '"' + "".join(_ESCAPES.get(c) or (c if c.isprintable() else _escaped(c)) for c in text) + '"'


def choice(texts: Iterable[str]) -> str:
    """A fragment that matches any of several texts."""
    return " | ".join(literal(text) for text in texts)


def number(column: Column) -> str:
    """A fragment that matches the numbers which a numeric column may hold, and no other text.

    There are no leading zeros, no ``-0``, no exponent and no ``+``. An integer has no decimal point. A
    continuous value has exactly the card's decimals. Where the card gives none, a fraction is optional and
    has as many decimals as cut the column's range into a thousand steps or more, at least one of them.

    Raises:
        UserError: the bounds of an integer column hold no whole number.
    """
    places, first, last = _lattice(column)
    digits = _Digits(places, fixed=column.decimals is not None)
    options = [] if first >= 0 else ['"-" ' + _group(digits.between(max(1, -last), -first))]
    if last >= 0:
        options += digits.between(max(0, first), last)
    return " | ".join(options)


def written(value: float, column: Column) -> str:
    """A number as :func:`number` matches it: with the column's decimals, and within its bounds if it lies there."""
    places, first, last = _lattice(column)
    units = round(Decimal(repr(float(value))).scaleb(places))
    if column.bounds and column.bounds[0] <= value <= column.bounds[1]:  # rounding may lead out of them
        units = min(max(units, first), last)
    text = f"{Decimal(units).scaleb(-places):f}"
    fixed = column.kind is Kind.INTEGER or column.decimals is not None
    return text if fixed or not places else text.rstrip("0").removesuffix(".")


def _lattice(column: Column) -> tuple[int, int, int]:
    """Decimals of a column, and its bounds in units of the last one.

    Raises:
        UserError: the bounds of an integer column hold no whole number.
    """
    places = column.places
    first, last = _units(column, places)
    if first > last and column.kind is Kind.INTEGER:
        raise UserError(f"column '{column.name}' is integer, but no whole number lies within its bounds")
    while first > last:  # the bounds lie closer together than its decimals can tell
        places += 1
        first, last = _units(column, places)
    return places, first, last


def _units(column: Column, places: int) -> tuple[int, int]:
    """Bounds in units of the last decimal. A bound is the decimal number that the card gives, not its binary float."""
    if column.bounds is None:
        most = 10 ** (UNBOUNDED_DIGITS + places) - 1
        return -most, most
    low, high = (Fraction(repr(bound)) * 10**places for bound in column.bounds)
    return math.ceil(low), math.floor(high)


class _Digits:
    """Writes the fragments of ranges of magnitudes, digit by digit.

    A magnitude stands for a number as an integer in units of the last decimal: with two decimals, ``1234``
    is 12.34. With a *free* fraction its trailing zeros, and with them the point, may be left out.
    """

    def __init__(self, places: int, *, fixed: bool) -> None:
        self._places = places
        self._fixed = fixed

    def between(self, first: int, last: int) -> list[str]:
        """Alternatives that match the magnitudes from ``first`` to ``last``, both included."""
        options: list[str] = []
        complete: list[int] = []  # lengths of the whole part, one after the other, that the range covers
        for whole in range(self._whole(first), self._whole(last) + 1):
            size = whole + self._places
            least, most = (10 ** (size - 1) if whole > 1 else 0), 10**size - 1
            low, high = max(first, least), min(last, most)
            if whole > 1 and (low, high) == (least, most):
                complete.append(whole)
            else:
                options += self._options(str(low).zfill(size), str(high).zfill(size), size, whole)
        if complete:
            options.append(_sequence("[1-9]", _free(complete[0] - 1, complete[-1] - 1), self._fraction()))
        return options

    def _whole(self, magnitude: int) -> int:
        return max(1, len(str(magnitude)) - self._places)

    def _fraction(self) -> str:
        return self._rest(None, None, self._places, 0)

    def _options(self, low: str | None, high: str | None, size: int, whole: int) -> list[str]:
        """Alternatives of ``size >= 1`` more digits, of which ``whole`` stand before the point.

        ``low`` and ``high`` are the digits that those to come must not fall below or exceed; ``None`` once an
        earlier digit, or the digits left, make that sure. Past the point ``whole`` is negative.
        """
        if low is None and high is None:
            if whole > 0:
                return [_sequence(_free(whole, whole), self._rest(None, None, size - whole, 0))]
            return [_free(size if self._fixed else 1, size)]
        start, end = int(low[0]) if low else 0, int(high[0]) if high else 9
        pieces: list[tuple[int, int, str]] = []
        for digit in range(start, end + 1):
            rest = self._rest(
                low[1:] if low and digit == start else None,
                high[1:] if high and digit == end else None,
                size - 1,
                whole - 1,
            )
            if pieces and pieces[-1][2] == rest:
                pieces[-1] = (pieces[-1][0], digit, rest)
            else:
                pieces.append((digit, digit, rest))
        return [_sequence(f"[{a}-{b}]" if a < b else f'"{a}"', rest) for a, b, rest in pieces]

    def _rest(self, low: str | None, high: str | None, size: int, whole: int) -> str:
        """Fragment of what follows a digit: more digits, the point, or nothing."""
        low = low if low and low.strip("0") else None
        high = high if high and high.strip("9") else None
        if size == 0:
            return ""
        if whole > 0:
            return _group(self._options(low, high, size, whole))
        if whole < 0 and low is None and high is None:
            return _free(size if self._fixed else 0, size)
        digits = _sequence('"."' if whole == 0 else "", _group(self._options(low, high, size, -1)))
        return digits if self._fixed or low is not None else f"({digits})?"


def _free(least: int, most: int) -> str:
    if most == 0:
        return ""
    if least == most:
        return "[0-9]" if most == 1 else f"[0-9]{{{most}}}"
    return "[0-9]?" if most == 1 else f"[0-9]{{{least},{most}}}"


def _sequence(*fragments: str) -> str:
    """Fragments one after the other; literals that meet become one."""
    return " ".join(f for f in fragments if f).replace('" "', "")


def _group(options: list[str]) -> str:
    return options[0] if len(options) == 1 else f"({' | '.join(options)})"


def _escaped(character: str) -> str:
    """A character that could not be seen in the grammar, by its number."""
    number = ord(character)
    return f"\\x{number:02X}" if number < 0x100 else f"\\u{number:04X}" if number < 0x10000 else f"\\U{number:08X}"
