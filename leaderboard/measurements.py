"""Every value of a board's records as one Parquet file, for whoever wants to count for themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from .board import Board, Section

    Ints = npt.NDArray[np.int32]
    Bools = npt.NDArray[np.bool_]
    Floats = npt.NDArray[np.float64]

MEASURED = ("metric", "version", "variant", "status", "reason")


def parquet(board: Board) -> bytes:
    """All measurements, one row each; a record without any keeps one row.

    Columns, all but the last of text: ``protocol``, ``dataset``, ``generator``, ``split_seed``, ``seed``, ``record``,
    ``cell_status``, and of the measurement ``metric``, ``version``, ``variant``, ``status``, ``reason``, ``value``
    (null where there is none that counts).
    """
    parts = [_columns(section) for section in board.sections]
    # Codes as small as they can be, and alike in all parts.
    most = {name: max(len(part[name].names) for part in parts) for name in parts[0]}
    codes = {name: np.min_scalar_type(-count - 1) for name, count in most.items()}
    tables = [
        pa.table(
            {name: column.coded(codes[name]) for name, column in part.items()}
            | {"value": pa.array(_value(section), from_pandas=True)}
        )
        for section, part in zip(board.sections, parts, strict=True)
    ]
    table = pa.concat_tables(tables).unify_dictionaries()
    named = [name for name in table.column_names if name != "value"]
    sink = pa.BufferOutputStream()
    # To look for the least and the largest of each column takes most of the time, and helps nobody to read it.
    pq.write_table(table, sink, compression="zstd", compression_level=1, use_dictionary=named, write_statistics=False)
    return bytes(sink.getvalue())


class _Column(NamedTuple):
    """Text, each once, and the position of that of every row; none where ``without`` says so."""

    names: list[str]
    position: Ints
    without: Bools | None

    def coded(self, code: np.dtype[Any]) -> pa.Array:
        codes = pa.array(self.position.astype(code), mask=self.without)
        return pa.DictionaryArray.from_arrays(codes, pa.array(self.names, pa.string()))


def _columns(section: Section) -> dict[str, _Column]:
    """All columns but the value."""
    table, values = section.table, section.table.values
    silent = _silent(section)
    record = np.concatenate([values.record, silent])
    kind = np.concatenate([values.kind, np.zeros(len(silent), np.int32)])
    without = np.arange(len(record)) >= len(values.record) if len(silent) else None
    of_records: dict[str, Sequence[object]] = {
        "protocol": [section.name] * len(table.cells),
        "dataset": [table.datasets[n] for n in table.dataset],
        "generator": [table.generators[n] for n in table.generator],
        "split_seed": table.split_seeds,
        "seed": [cell.seed for cell in table.cells],
        "record": [cell.id for cell in table.cells],
        "cell_status": [cell.status for cell in table.cells],
    }
    of_kinds = {name: [k[n] for k in values.kinds] or [""] for n, name in enumerate(MEASURED)}
    return {
        **{name: _column(said, record, None) for name, said in of_records.items()},
        **{name: _column(said, kind, without) for name, said in of_kinds.items()},
    }


def _silent(section: Section) -> Ints:
    """Positions of the records without any measurement."""
    heard = np.zeros(len(section.table.cells), bool)
    heard[section.table.values.record] = True
    return np.flatnonzero(~heard).astype(np.int32)


def _value(section: Section) -> Floats:
    return np.concatenate([section.table.values.value, np.full(len(_silent(section)), np.nan)])


def _column(said: Sequence[object], rows: Ints, without: Bools | None) -> _Column:
    """A column of text.

    Args:
        said: of every record, or of every kind of measurement.
        rows: position in ``said`` of every row.
        without: rows that have none.
    """
    names: dict[str, int] = {}
    codes = np.array([names.setdefault(str(text), len(names)) for text in said], np.int32)
    return _Column(list(names), codes[rows], without)
