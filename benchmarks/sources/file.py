"""The user's own table: a CSV or Parquet file."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..dataset import DatasetError

if TYPE_CHECKING:
    import pandas as pd

# The missing markers of pandas, without the word 'None': in clinical tables it is a level ("no treatment").
MISSING = ["", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "<NA>", "#N/A"]

TAKES = "a CSV file (.csv, .tsv, .txt, also .gz) or a Parquet file (.parquet, .pq)"


def read(
    path: str | None, sep: str = ",", encoding: str = "utf-8", decimal: str = ".", option: str = "dataset.source."
) -> pd.DataFrame:
    """Read a table from disk.

    Args:
        path: of the file; a relative one counts from the current folder. The suffix tells the format.
        sep: separator of the columns of a CSV file.
        encoding: of a CSV file; a byte order mark before UTF-8 is ignored.
        decimal: decimal sign in a CSV file.
        option: what comes before ``sep=`` and the like where a message tells people to give one.

    Returns:
        The table as it stands in the file; empty fields and ``NA``, ``NaN``, ``NULL`` are missing.

    Raises:
        DatasetError: no such file, or it is not the table that it should be; one line says what to do.
    """
    file = existing(path, "dataset=file", f"give {TAKES}: path=my.csv")
    if file.suffix.lower() in (".parquet", ".pq"):
        return _read_parquet(file)
    suffixes = [s.lower() for s in file.suffixes if s.lower() != ".gz"]
    if suffixes[-1:] not in ([".csv"], [".tsv"], [".txt"]):
        raise DatasetError(f"cannot read {file}: save the table as {TAKES}")
    return read_csv(file, "\t" if suffixes[-1] == ".tsv" and sep == "," else sep, encoding, decimal, option)


def existing(path: str | None, asked_by: str, remedy: str) -> Path:
    """The path of a file or folder that must exist.

    Raises:
        DatasetError: it is not given or not there.
    """
    if not path:
        raise DatasetError(f"{asked_by} needs path=: {remedy}")
    found = Path(path).expanduser()
    if not found.exists():
        raise DatasetError(f"{asked_by}: no file or folder {found} (current folder: {Path.cwd()}); {remedy}")
    return found


def read_csv(
    file: Path,
    sep: str = ",",
    encoding: str = "utf-8",
    decimal: str = ".",
    option: str = "dataset.source.",
    **options: Any,
) -> pd.DataFrame:
    """Read a CSV file, refusing whatever pandas would silently put right.

    Args:
        file: path, compressed or not.
        sep: separator of the columns.
        encoding: of the text.
        decimal: decimal sign.
        option: as for :func:`read`.
        options: more options of ``pandas.read_csv``.

    Raises:
        DatasetError: wrong encoding or separator, duplicated column names, rows longer than the header, no rows.
    """
    import pandas as pd

    if encoding.lower().replace("_", "-") in ("utf-8", "utf8"):
        encoding = "utf-8-sig"
    common: dict[str, Any] = {"sep": sep, "encoding": encoding, "keep_default_na": False}
    try:
        # pandas renames the second 'age' to 'age.1': read the header as a row.
        header = pd.read_csv(file, header=None, nrows=1, dtype=str, **common).iloc[0].tolist()
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            warnings.simplefilter("ignore", pd.errors.DtypeWarning)
            table: pd.DataFrame = pd.read_csv(
                file, na_values=MISSING, decimal=decimal, index_col=False, low_memory=False, **common, **options
            )
    except UnicodeError:
        raise DatasetError(
            f"{file} is not {encoding.removesuffix('-sig')} text: name its encoding with "
            f"{option}encoding=cp1252 (Windows; or latin-1, utf-16), or save it as UTF-8"
        ) from None
    except LookupError:
        raise DatasetError(f"unknown encoding '{encoding}': give one such as utf-8, cp1252, latin-1, utf-16") from None
    except pd.errors.EmptyDataError:
        raise DatasetError(f"{file} is empty: give a table with a header and some hundred rows") from None
    except (pd.errors.ParserError, pd.errors.ParserWarning, ValueError) as error:
        raise DatasetError(
            f"{file} is no CSV table with '{sep}' between columns ({' '.join(str(error).split())}): "
            f"correct the line, or name the separator with {option}sep=';'"
        ) from None
    except OSError as error:
        raise DatasetError(f"cannot read {file}: {error.strerror or error}") from None
    twice = list(dict.fromkeys(name for name in header if header.count(name) > 1))
    if twice:
        raise DatasetError(f"{file} has duplicated column names: {', '.join(map(repr, twice))}; rename or remove them")
    other = next((s for s in (";", "\t", "|", ",") if s != sep and s in header[0]), None)
    if len(header) == 1 and other:
        raise DatasetError(f"{file} seems to have {other!r} between columns: name it with {option}sep={other!r}")
    return table


def _read_parquet(file: Path) -> pd.DataFrame:
    import pandas as pd
    import pyarrow as pa

    try:
        table: pd.DataFrame = pd.read_parquet(file)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DatasetError(f"{file} is no readable Parquet table ({' '.join(str(error).split())})") from None
    return table
