"""From the ``llm`` group of a configuration to the model that is meant, whichever way it is reached."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...results.errors import UserError
from .settings import LLMSettings


@dataclass(frozen=True)
class Model:
    """A language model.

    Attributes:
        settings: of the model and of the way to it.
        defining: what decides its answers, as it enters requests, identities and records. For a replay it is
            that of the model whose transcript is replayed: the rows are the same, and so is the cell.
    """

    settings: LLMSettings
    defining: dict[str, Any]


def resolve(config: Mapping[str, Any]) -> Model:
    """Find out which model a configuration means: the digest of its file, or the one of a transcript.

    Args:
        config: the ``llm`` group.

    Raises:
        UserError: a setting is wrong, the embedded model is not known, or there is no such transcript.
    """
    settings = LLMSettings.parse(config)
    if settings.endpoint == "replay":
        from .transcript import defining_of

        if not settings.transcript:
            raise UserError("llm=replay needs a transcript: llm.transcript=FILE, or a folder of them")
        defining = defining_of(Path(settings.transcript), settings.model)
        settings = LLMSettings.parse({**settings.model_dump(), **defining, "endpoint": "replay"})
        return Model(settings, defining)
    if not settings.model:
        served = "the model that the server has loaded, as it answers to any name"
        which = served if settings.endpoint == "llama_cpp" else "a model"
        raise UserError(f"llm={settings.endpoint} needs the name of {which}: llm.model=")
    if settings.endpoint == "embedded" and not settings.digest:
        from .models import digest_of

        settings = settings.model_copy(update={"digest": digest_of(settings.model)})
    return Model(settings, settings.defining)
