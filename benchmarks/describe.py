"""A first card of a table nobody has described yet.

What can be read off rows is their form: kinds, codes, decimals, which columns lack values. What they mean is in
a codebook. A card inferred from rows says so, in ``inferred`` and in the comments of its YAML, and has no
description: what a placeholder would say is no knowledge of the patients.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from .sources.file import read
from .sources.inference import describe_table

Card = dict[str, Any]

HEADER = """\
# First card of '{name}', inferred from its rows. Correct it, then use it: dataset=file path=... card=this.yaml
# - bounds: replace them by plausible ones from a codebook or clinical knowledge; these come from the rows.
# - description, meaning, unit and the meaning of codes: fill them in; generators that read the card know nothing else,
#   and one that is meant to see a description alone learns something of the rows from what was inferred.
# - kind: continuous, integer, categorical or ordinal (codes in order).
# - sensitive: name the columns that tell groups or secrets. sharing: public lets rows go to a remote LLM.
# - inferred: while it is true, a card of a local-only table goes to no remote LLM. When all of the above comes from
#   knowledge, make it false.
# - rules: such as {{name: diastolic below systolic, left: dbp, op: "<", right: sbp}}
"""


def describe_file(path: str | Path, target: str | None = None) -> str:
    """The first card of a CSV or Parquet file, as YAML with comments that say what to correct.

    Raises:
        DatasetError: as ``read`` and ``describe_table``.
    """
    card = describe_table(read(str(path)), target, Path(path).name.split(".")[0])
    source = {"_target_": "synthward.benchmarks.sources.file.read", "path": str(path)}
    return to_yaml({"name": card.pop("name"), "source": source, **card})


def to_yaml(card: Card) -> str:
    """Write a card as YAML: comments first, one column a line."""
    import yaml

    def flow(value: Any) -> str:
        return str(yaml.safe_dump(value, default_flow_style=True, width=10**9, allow_unicode=True, sort_keys=False))

    def key(name: str) -> str:
        plain = re.fullmatch(r"[A-Za-z][\w.-]*", name, re.ASCII) and yaml.safe_load(name) == name
        quoted = yaml.safe_dump(name, default_style='"', width=10**9, allow_unicode=True).strip()
        return name if plain else str(quoted)

    lines = [HEADER.format(name=card["name"])]
    rest = {k: v for k, v in card.items() if k not in ("columns", "drop")}
    lines.append(yaml.safe_dump(rest, sort_keys=False, allow_unicode=True, width=110, default_flow_style=None))
    if card.get("drop"):
        lines.append(
            "# Left out, with the reason; recode a column and describe it under `columns` to keep it.\ndrop:\n"
        )
        lines += [f"  {key(c)}: {flow([reason])[1:-2]}\n" for c, reason in dict(card["drop"]).items()]
    lines.append("columns:\n")
    lines += [f"  {key(c)}: {flow(spec)}" for c, spec in card["columns"].items()]
    return "".join(lines)
