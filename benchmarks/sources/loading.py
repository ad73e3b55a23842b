"""From a dataset's configuration to a checked ``Dataset``."""

from __future__ import annotations

import functools
import inspect
import json
import pkgutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..dataset import Dataset, DatasetCard, DatasetError
from .checks import check_known, check_names, check_table
from .inference import infer_card, with_task

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pandas as pd

Card = dict[str, Any]


def load_dataset(config: Mapping[str, Any]) -> Dataset:
    """Load a dataset from its card, as it stands in ``conf/dataset/*.yaml`` with all interpolations resolved.

    Besides the fields of a card, two keys shape it: ``card``, the path of a YAML file whose fields
    complete the configuration, and ``drop``, names of columns to leave out. A card without
    ``columns`` gets them from the rows, see ``describe_table``.

    Loading is cached per process; a file that changes on disk is read again. The table is shared
    by all callers: copy it before you change it.

    Raises:
        DatasetError: the card is wrong, its loader cannot be found, or its table cannot serve as a benchmark.
        UserError: the extra that installs the source's package is missing.
    """
    try:
        # Not sorted: the order of the columns is part of what is loaded.
        text = json.dumps(dict(config))
    except TypeError as error:
        raise DatasetError(
            f"the configuration of dataset '{config.get('name', '?')}' is no plain data: {error}"
        ) from None
    return _load(text, _stamp(config))


def forget_loaded() -> None:
    """Empty the cache of this process."""
    _load.cache_clear()


def build_dataset(table: pd.DataFrame, config: Mapping[str, Any]) -> Dataset:
    """Make a dataset of a table in memory, with the same card and the same checks as ``load_dataset``.

    Args:
        table: of shape ``(rows, columns)``.
        config: a card; ``source`` is only recorded, not called.

    Raises:
        DatasetError: the card is wrong, or the table cannot serve as a benchmark.
    """
    config = with_card_file(config)
    name = _name(config)
    check_names(table, name)
    table = table.set_axis([str(c) for c in table.columns], axis=1)
    drop = [str(c) for c in config.get("drop") or ()]
    for column in drop:
        check_known("drop", name, column, list(table.columns))
    table = table.drop(columns=drop)
    card = {k: v for k, v in config.items() if k not in ("card", "drop")} | {"name": name}
    if card.get("columns"):
        card = _without(card, drop)
        if card.get("target") is not None:
            check_known("target", name, str(card["target"]), list(card["columns"]))
    else:
        card = infer_card(table, card)
    parsed = DatasetCard.parse(with_task(card))
    canonical = parsed.schema_.canonical(table)
    check_table(canonical, parsed)
    return Dataset(parsed, canonical)


@functools.lru_cache(maxsize=16)
def _load(text: str, stamp: tuple[float, ...]) -> Dataset:
    config = with_card_file(json.loads(text))
    return build_dataset(_call_source(config), config)


def _stamp(config: Mapping[str, Any]) -> tuple[float, ...]:
    """Modification times and sizes of the files that the configuration names."""
    source = config.get("source")
    named = [config.get("card"), source.get("path") if isinstance(source, dict) else None]
    stats = [Path(p).stat() for p in named if isinstance(p, str) and Path(p).exists()]
    return tuple(fact for s in stats for fact in (s.st_mtime, s.st_size))


def with_card_file(config: Mapping[str, Any]) -> Card:
    """Complete a configuration with the YAML card that its ``card`` names.

    The file has the last word on what the table means; the configuration on where it is and
    which column is the target.

    Raises:
        DatasetError: the file cannot be read, or is no card.
    """
    named = config.get("card")
    if not named:
        return dict(config)
    import yaml

    path = Path(str(named))
    try:
        written = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DatasetError(f"cannot read the card {path}: {error.strerror}; `synthward describe` writes one") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise DatasetError(f"the card {path} is no valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(written, dict):
        raise DatasetError(f"the card {path} is no mapping of fields; `synthward describe` writes one")
    given = {k: v for k, v in config.items() if v is not None and k != "card"}
    source = {
        **(written.get("source") or {}),
        **{k: v for k, v in (given.get("source") or {}).items() if v is not None},
    }
    drop = list(dict.fromkeys([*(written.get("drop") or ()), *(given.get("drop") or ())]))
    merged = {**given, **written, "source": source, "drop": drop}
    if given.get("target") is not None:
        merged["target"] = given["target"]
    if merged.get("target") != written.get("target"):
        merged.update(task=None, positive=None, prevalence={})
    return merged


def _name(config: Mapping[str, Any]) -> str:
    """The dataset's name; a file of the user is called by its stem."""
    name = str(config.get("name") or "file")
    path = (config.get("source") or {}).get("path")
    return Path(path).name.split(".")[0] if name == "file" and path else name


def _call_source(config: Mapping[str, Any]) -> pd.DataFrame:
    import pandas as pd

    name = _name(config)
    source = dict(config.get("source") or {})
    dotted = source.pop("_target_", None)
    if not dotted:
        raise DatasetError(f"dataset '{name}' has no source._target_: give the dotted path of a loader")
    loader = _resolve(name, str(dotted))
    try:
        inspect.signature(loader).bind(**source)
    except TypeError as error:
        raise DatasetError(f"dataset '{name}': the options under `source` do not fit {dotted}: {error}") from None
    table = loader(**source)
    if not isinstance(table, pd.DataFrame):
        raise DatasetError(f"dataset '{name}': {dotted} returned a {type(table).__name__}, not a pandas DataFrame")
    return table


def _resolve(name: str, dotted: str) -> Callable[..., Any]:
    try:
        loader = pkgutil.resolve_name(dotted)
    except (ImportError, AttributeError, ValueError) as error:
        raise DatasetError(
            f"dataset '{name}': cannot find the loader '{dotted}' ({error}): "
            "correct source._target_, or install the package that holds it"
        ) from None
    if not callable(loader):
        raise DatasetError(f"dataset '{name}': source._target_ '{dotted}' is a {type(loader).__name__}, not a function")
    found: Callable[..., Any] = loader
    return found


def _without(card: Card, drop: list[str]) -> Card:
    """A card without some columns, and without the rules and sensitive columns that mention them."""
    gone = set(drop)
    if not gone:
        return card
    kept = {**card, "columns": {n: c for n, c in card["columns"].items() if str(n) not in gone}}
    kept["sensitive"] = [c for c in card.get("sensitive") or () if c not in gone]
    kept["rules"] = [
        r for r in card.get("rules") or () if not gone & {r.get("left"), r.get("right"), *(r.get("when") or {})}
    ]
    return kept
