"""Tables of the SurvSet package, turned from time to event into a prediction at a fixed horizon.

SurvSet prefixes numeric columns with ``num_`` and categorical ones with ``fac_``, writes missing
categories as the string ``missing``, holds some ordinals under both prefixes, and adds ``pid``,
``event`` and ``time``. The package is licensed under the GPL: its files are read where it is
installed and never copied.

Source: Drysdale (2022), https://arxiv.org/abs/2203.03094.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .extras import import_extra

if TYPE_CHECKING:
    import pandas as pd

# The Vanderbilt tables were stored in lossy binary fractions (38.6 degrees became 38.59375). These are the
# decimals with which the values were recorded, as the cards say; rounding moves none by more than half a digit.
RHC_DECIMALS = {
    "age": 3, "meanbp1": 0, "wblc1": 2, "resp1": 0, "temp1": 1, "pafi1": 1, "alb1": 2, "hema1": 1, "bili1": 2,
    "crea1": 2, "pot1": 1, "paco21": 1, "ph1": 2, "wtkilo1": 1, "urin1": 0,
}  # fmt: skip
SUPPORT2_DECIMALS = {
    "age": 3, "meanbp": 0, "wblc": 2, "hrt": 0, "temp": 1, "pafi": 1, "alb": 2, "bili": 2, "crea": 2, "ph": 2,
    "glucose": 0, "bun": 0, "urine": 0,
}  # fmt: skip


def rhc() -> pd.DataFrame:
    """Right heart catheterisation, with death within 30 days as the target.

    Returns:
        A table of shape ``(5735, 53)``.

    Raises:
        UserError: SurvSet is not installed.
    """
    table = _survset("rhc").round(RHC_DECIMALS)
    table["death30"] = _died_within(table, 30)
    # `surv2md1` is a model's estimate of the outcome.
    table = table.drop(columns=["pid", "event", "time", "surv2md1"])
    # No second disease category was recorded because there was none; nothing is unknown.
    table["cat2"] = table["cat2"].fillna("none")
    # A weight of 0 kg stands for an unknown one.
    return table.assign(wtkilo1=table["wtkilo1"].where(table["wtkilo1"] > 0))


def support2() -> pd.DataFrame:
    """SUPPORT, both phases, with death within 180 days as the target.

    Returns:
        A table of shape ``(9105, 30)``.

    Raises:
        UserError: SurvSet is not installed.
    """
    table = _survset("support2").round(SUPPORT2_DECIMALS)
    table["death180"] = _died_within(table, 180)
    # Estimates of the outcome (`surv2m`, `surv6m`, and the severity score `sps` they are computed from),
    # the state at 2 months, and an order that most of those who have one got after the day described.
    return table.drop(columns=["pid", "event", "time", "surv2m", "surv6m", "sps", "sfdm2", "dnr"])


def vlbw() -> pd.DataFrame:
    """Very low birth weight infants, with death in hospital as the target.

    Returns:
        A table of shape ``(617, 22)``.

    Raises:
        UserError: SurvSet is not installed.
    """
    table = _survset("vlbw").round({"lowph": 2}).rename(columns={"event": "dead"})
    # `cld`, oxygen at 30 days, could only be seen in infants that lived so long.
    return table.drop(columns=["pid", "time", "cld"])


def smarto() -> pd.DataFrame:
    """SMART with its missing values, with a cardiovascular event during follow-up as the target.

    Returns:
        A table of shape ``(3873, 27)``.

    Raises:
        UserError: SurvSet is not installed.
    """
    return _survset("smarto").drop(columns=["pid", "time"])


def _survset(name: str) -> pd.DataFrame:
    """Load a table with its columns' own names, ``None`` or NaN for missing, and each column once."""
    table: pd.DataFrame = import_extra("SurvSet.data", "data").SurvLoader().load_dataset(name)["df"]
    numeric = {c.removeprefix("num_") for c in table.columns if c.startswith("num_")}
    table = table.drop(columns=[f"fac_{c}" for c in numeric if f"fac_{c}" in table.columns])
    for column in table.columns[table.columns.str.startswith("fac_")]:
        values = table[column].astype(object)
        table[column] = values.where(values != "missing", None)
    return table.rename(
        columns=lambda c: c.removeprefix("num_").removeprefix("fac_") if c != "num_num_co" else "num_co"
    )


def _died_within(table: pd.DataFrame, days: int) -> pd.Series:
    """Whether a patient is known to have died within a horizon of so many days.

    Who was lost to follow-up before counts as alive, as in the source's own 30-day outcome: 8 patients of
    rhc, none of support2.
    """
    return ((table["event"] == 1) & (table["time"] <= days)).astype(int)
