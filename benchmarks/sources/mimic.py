"""MIMIC-IV-ED: triage in an emergency department, from a folder that the user has credentialed access to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..dataset import DatasetError
from .file import existing, read_csv

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

WHERE = (
    "get MIMIC-IV-ED from PhysioNet (credentialed access, https://physionet.org/content/mimic-iv-ed/) "
    "and give the folder with edstays.csv.gz and triage.csv.gz: path=mimic-iv-ed/2.2/ed"
)

# First match wins. The source has 33 free-standing labels, most of them subgroups such as 'ASIAN - CHINESE'.
RACES = (
    ("HISPANIC", "hispanic"),
    ("SOUTH AMERICAN", "hispanic"),
    ("BLACK", "black"),
    ("WHITE", "white"),
    ("PORTUGUESE", "white"),
    ("ASIAN", "asian"),
    ("AMERICAN INDIAN", "other"),
    ("NATIVE HAWAIIAN", "other"),
    ("MULTIPLE", "other"),
    ("OTHER", "other"),
)

# Vital signs are typed by hand: beyond these limits they are slips (Celsius, no decimal point), not measurements.
POSSIBLE = {
    "temperature": (80, 115),
    "heartrate": (10, 300),
    "resprate": (2, 80),
    "o2sat": (30, 100),
    "sbp": (30, 320),
    "dbp": (10, 220),
    "pain": (0, 13),
}


def read_ed(path: str | None) -> pd.DataFrame:
    """Read stays with their triage, one row a stay.

    Args:
        path: folder with ``edstays.csv[.gz]`` and ``triage.csv[.gz]``.

    Returns:
        A table of shape ``(stays with a disposition and a triage, 12)`` without identifiers, times and chief complaint.

    Raises:
        DatasetError: the folder or a file or a column of it is missing; the message says where to get it.
    """
    import pandas as pd

    folder = existing(path, "dataset=mimic_iv_ed", WHERE)
    keys = ["subject_id", "stay_id"]
    stays = _table(folder, "edstays", [*keys, "gender", "race", "arrival_transport", "disposition"])
    triage = _table(folder, "triage", [*keys, *POSSIBLE, "acuity"])
    rows = stays.merge(triage, on=keys, how="inner", validate="one_to_one")
    rows = rows[rows["disposition"].notna()]
    # `pain` is free text: '7', '7/10', 'unable'. Only plain numbers are taken.
    vitals = {c: pd.to_numeric(rows[c], errors="coerce") for c in POSSIBLE}
    return rows.assign(
        **{c: values.where(values.between(*POSSIBLE[c])) for c, values in vitals.items()},
        race=rows["race"].map(_race),
        admitted=(rows["disposition"] == "ADMITTED").astype(int),
    ).drop(columns=[*keys, "disposition"])


def _table(folder: Path, name: str, columns: list[str]) -> pd.DataFrame:
    found = [f for f in (folder / f"{name}.csv.gz", folder / f"{name}.csv") if f.is_file()]
    if not found:
        raise DatasetError(f"dataset=mimic_iv_ed: {folder} holds no {name}.csv or {name}.csv.gz; {WHERE}")
    table = read_csv(found[0])
    lacking = [c for c in columns if c not in table.columns]
    if lacking:
        raise DatasetError(f"dataset=mimic_iv_ed: {found[0]} lacks {', '.join(lacking)}; {WHERE}")
    return table[columns]


def _race(text: object) -> str | None:
    """The group of a label; refusals and unknowns are missing."""
    return next((group for start, group in RACES if str(text).startswith(start)), None)
