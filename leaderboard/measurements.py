"""Every value of a board's records as one Parquet file, for whoever wants to count for themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from .board import Board, Section

    Ints = npt.NDArray[np.int32]
    Bools = npt.NDArray[np.bool_]

MEASURED = ("metric", "version", "variant", "status", "reason")


def parquet(board: Board) -> bytes:
    """All measurements, one row each; a record without any keeps one row.

    Columns, all but the last of text: ``protocol``, ``dataset``, ``generator``, ``split_seed``, ``seed``, ``record``,
    ``cell_status``, and of the measurement ``metric``, ``version``, ``variant``, ``status``, ``reason``, ``value``
    (null where there is none that counts).
    """
    table = pa.concat_tables([_table(section) for section in board.sections]).unify_dictionaries()
    named = [name for name in table.column_names if name != "value"]
    sink = pa.BufferOutputStream()
    # To look for the least and the largest of each column takes most of the time, and helps nobody to read it.
    pq.write_table(table, sink, compression="zstd", compression_level=1, use_dictionary=named, write_statistics=False)
    return bytes(sink.getvalue())


def _table(section: Section) -> pa.Table:
    table, values = section.table, section.table.values
    silent = np.setdiff1d(np.arange(len(table.cells), dtype=np.int32), values.record)
    record = np.concatenate([values.record, silent])
    kind = np.concatenate([values.kind, np.zeros(len(silent), np.int32)])
    without = np.arange(len(record)) >= len(values.record)
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
    value = np.concatenate([values.value, np.full(len(silent), np.nan)])
    return pa.table(
        {
            **{name: _coded(said, record) for name, said in of_records.items()},
            **{name: _coded(said, kind, without) for name, said in of_kinds.items()},
            "value": pa.array(value, from_pandas=True),
        }
    )


def _coded(said: Sequence[object], rows: Ints, without: Bools | None = None) -> pa.Array:
    """A column of text, each text once.

    Args:
        said: of every record, or of every kind of measurement.
        rows: position in ``said`` of every row.
        without: rows that have none.
    """
    names: dict[str, int] = {}
    codes = np.array([names.setdefault(str(text), len(names)) for text in said], np.int32)
    small = codes.astype(np.min_scalar_type(-len(names) - 1))  # signed, as Arrow's codes are
    mask = without if without is not None and without.any() else None
    return pa.DictionaryArray.from_arrays(pa.array(small[rows], mask=mask), pa.array(list(names), pa.string()))
