"""Older adults after brain tumour surgery: the file of Zenodo record 5879095, that the user has downloaded."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ..dataset import DatasetError
from .file import existing, read_csv

if TYPE_CHECKING:
    import pandas as pd

WHERE = (
    "download the table from https://zenodo.org/record/5879095, save it as CSV, and give it: "
    "path=neurosurgery.csv (and dataset.source.sep=';' where columns are separated by semicolons)"
)

# Column of the card to the headers taken for it, compared by their letters and digits in lower case alone:
# 'Heart Disease', 'heart_disease' and 'HEART-DISEASE' are the same.
HEADERS: dict[str, tuple[str, ...]] = {
    "Sex": ("sex", "gender"),
    "Age": ("age",),
    "LOS": ("los", "lengthofstay"),
    "Histology": ("histology",),
    "MCS": ("mcs",),
    "ASA": ("asa",),
    "Heart Disease": ("heartdisease",),
    "Diabetes": ("diabetes",),
    "BMI": ("bmi",),
    "Prev Brain Radiotherapy": ("prevbrainradiotherapy", "previousbrainradiotherapy"),
    "Complications": ("complications", "complication"),
    "KPS Deterioration": ("kpsdeterioration",),
}

YES_NO = {"yes": "yes", "y": "yes", "1": "yes", "true": "yes", "no": "no", "n": "no", "0": "no", "false": "no"}
SEXES = {"m": "M", "male": "M", "f": "F", "female": "F"}


def read(path: str | None, sep: str = ",", encoding: str = "utf-8", decimal: str = ".") -> pd.DataFrame:
    """Read the table, whatever the spelling of its headers.

    Args:
        path: of the CSV file.
        sep: separator of the columns.
        encoding: of the text.
        decimal: decimal sign.

    Returns:
        A table of shape ``(rows, 12)``; other columns of the file are left out.

    Raises:
        DatasetError: the file is missing, or a column of it; the message says where to get it.
    """
    file = existing(path, "dataset=neurosurgery", WHERE)
    table = read_csv(file, sep, encoding, decimal)
    by_letters = {re.sub(r"[^a-z0-9]", "", str(c).lower()): c for c in table.columns}
    found = {name: by_letters[h] for name, headers in HEADERS.items() for h in headers if h in by_letters}
    lacking = [name for name in HEADERS if name not in found]
    if lacking:
        raise DatasetError(f"dataset=neurosurgery: {file} lacks the columns {', '.join(lacking)}; {WHERE}")
    table = table[list(found.values())].set_axis(list(found), axis=1)
    yes_no = ("Heart Disease", "Diabetes", "Prev Brain Radiotherapy", "KPS Deterioration")
    spelt = {c: _respell(table[c], YES_NO) for c in yes_no}
    # 'Glioblastoma ' and 'glioblastoma' are the same tumour.
    histology = table["Histology"].str.strip().str.capitalize()
    return table.assign(Sex=_respell(table["Sex"], SEXES), Histology=histology, **spelt)


def _respell(values: pd.Series, spelling: dict[str, str]) -> pd.Series:
    """Codes of the card for their usual spellings; anything else stays, to be reported as an unknown code."""
    text = values.astype(str).str.strip().str.lower().str.removesuffix(".0")
    return text.map(spelling).fillna(values.astype(object))
