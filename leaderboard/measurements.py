"""Every value of a board's records as one Parquet file, for whoever wants to count for themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    import numpy.typing as npt

    from .board import Board
    from .section import Table

    Ints = npt.NDArray[np.int32]
    Floats = npt.NDArray[np.float64]

OF_RECORDS = ("protocol", "dataset", "generator", "split_seed", "seed", "record", "cell_status")
OF_KINDS = ("metric", "version", "variant", "status", "reason")
SCHEMA = pa.schema(
    [(name, pa.dictionary(pa.int32(), pa.string())) for name in (*OF_RECORDS, *OF_KINDS)] + [("value", pa.float64())]
)
ROWS = 2**20  # at a time: what is made of millions at once is slower, as all of it is new memory


def write(board: Board, path: Path) -> None:
    """Write all measurements, one row each; a record without any keeps one row.

    Columns, all but the last of text: ``protocol``, ``dataset``, ``generator``, ``split_seed``, ``seed``, ``record``,
    ``cell_status``, and of the measurement ``metric``, ``version``, ``variant``, ``status``, ``reason``, ``value``
    (null where there is none that counts).

    Args:
        board: whose records these are.
        path: of the file.

    Raises:
        OSError: it cannot be written.
    """
    # To look for the least and the largest of each column takes most of the time, and helps nobody to read it.
    with pq.ParquetWriter(
        path,
        SCHEMA,
        compression="zstd",
        compression_level=1,
        use_dictionary=[*OF_RECORDS, *OF_KINDS],
        write_statistics=False,
    ) as writer:
        for section, evidence in zip(board.sections, board.evidence, strict=True):
            _write(section.name, evidence.table, writer)


def _write(protocol: str, table: Table, writer: pq.ParquetWriter) -> None:
    values, silent = table.values, _silent(table)
    of_records, of_kinds = _of_records(protocol, table), _of_kinds(table)

    def write(record: Ints, kind: Ints, value: Floats) -> None:
        for start in range(0, len(record), ROWS):
            rows = slice(start, start + ROWS)
            columns = [column.at(record[rows]) for column in of_records]
            columns += [column.at(kind[rows]) for column in of_kinds]
            writer.write_table(pa.table([*columns, pa.array(value[rows], from_pandas=True)], schema=SCHEMA))

    write(values.record, values.kind, values.value)
    write(silent, np.full(len(silent), -1, np.int32), np.full(len(silent), np.nan))


class _Text:
    """A column of text, each once, of every record or of every kind of measurement."""

    def __init__(self, said: Iterable[object]) -> None:
        names: dict[str, int] = {}
        self._codes = np.array([names.setdefault(str(text), len(names)) for text in said], np.int32)
        self._names = pa.array(list(names), pa.string())

    def at(self, places: Ints) -> pa.Array:
        """The text of some places, of which -1 has none."""
        without = places < 0
        codes = pa.array(self._codes[places] if len(self._codes) else places, mask=without if without.any() else None)
        return pa.DictionaryArray.from_arrays(codes, self._names)


def _of_records(protocol: str, table: Table) -> list[_Text]:
    said: Mapping[str, Iterable[object]] = {
        "protocol": [protocol] * len(table.cells),
        "dataset": [table.datasets[n] for n in table.dataset],
        "generator": [table.generators[n] for n in table.generator],
        "split_seed": table.split_seeds,
        "seed": [cell.seed for cell in table.cells],
        "record": [cell.id for cell in table.cells],
        "cell_status": [cell.status for cell in table.cells],
    }
    return [_Text(said[name]) for name in OF_RECORDS]


def _of_kinds(table: Table) -> list[_Text]:
    return [_Text(kind[n] for kind in table.values.kinds) for n in range(len(OF_KINDS))]


def _silent(table: Table) -> Ints:
    """Positions of the records without any measurement."""
    heard = np.zeros(len(table.cells), bool)
    heard[table.values.record] = True
    return np.flatnonzero(~heard).astype(np.int32)
