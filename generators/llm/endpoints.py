"""What each kind of endpoint understands, and whether a table may be sent to it."""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from typing import Any, Literal
from urllib.parse import urlsplit

from ...results.errors import UserError
from .exchange import Form, Request
from .failures import Failure
from .settings import LLMSettings

Sends = Literal["description", "statistics", "examples", "rows"]
Sharing = Literal["public", "local-only"]

# Fields that a request can do without, and how endpoints call them when they refuse them. llama.cpp's say that
# "only one completion choice is allowed", or that n_cmpl exceeds the slots. The grammar of a llama.cpp server is
# not among them: it knows the field, so a complaint is about the grammar itself.
DISPENSABLE = {
    "response_format": re.compile(r"response_format|json_schema|structured output", re.I),
    "structured_outputs": re.compile(r"structured_outputs|structured output|grammar", re.I),
    "seed": re.compile(r"\bseed\b", re.I),
    "n": re.compile(r"""['"`]n['"`]|\bn\b *(=|>|must|should|is not)|n_cmpl|completion choice""", re.I),
    "temperature": re.compile(r"\btemperature\b", re.I),
    "top_p": re.compile(r"\btop_p\b", re.I),
}
# OpenAI's reasoning models refuse these whatever they are, and sample at 1; a server of another make has defaults of
# its own, so they are always sent first. At any other value than 1, a reply without them would not be what was asked.
SAMPLING = ("temperature", "top_p")
RENAMED = {"max_tokens": "max_completion_tokens"}  # by OpenAI's reasoning models, which refuse the old name


class AccessRefusedError(UserError):
    """Rows or statistics of a ``local-only`` table were to leave this machine."""


def guard(settings: LLMSettings, sharing: Sharing, sends: Sends) -> None:
    """Refuse to send what may not leave this machine.

    Args:
        settings: say where requests go.
        sharing: the table's, from its card.
        sends: the most that a prompt will hold of the table.

    Raises:
        AccessRefusedError: the table is ``local-only``, the endpoint is not this machine, and
            ``allow_remote`` was not given.
    """
    # Ollama passes models of this name on to its makers' servers, whatever address it listens at.
    hosted = settings.endpoint == "ollama" and settings.model.endswith(("-cloud", ":cloud"))
    local = settings.loopback and not hosted
    if sharing == "public" or sends == "description" or local or settings.allow_remote:
        return
    host = urlsplit(settings.base_url or "").hostname or settings.endpoint
    raise AccessRefusedError(
        f"{sends} of a local-only table would be sent to {host}: "
        "use a model on this machine, or allow it with llm.allow_remote=true"
    )


def address(settings: LLMSettings) -> str:
    """The base URL.

    Raises:
        UserError: there is none.
    """
    if not settings.base_url:
        raise UserError(f"llm={settings.endpoint} needs the address of the endpoint: llm.base_url=http://host:port/v1")
    return settings.base_url


def api_key(settings: LLMSettings) -> str:
    """The key from the environment, "" where none is needed.

    Raises:
        UserError: the variable is not set, or holds what cannot be a key. Neither message quotes it.
    """
    if settings.key_env is None:
        return ""
    key = os.environ.get(settings.key_env, "").strip()
    if not key:
        raise UserError(f"the variable {settings.key_env} holds no key: export {settings.key_env}=...")
    if not (key.isascii() and key.isprintable() and " " not in key):
        raise UserError(f"what the variable {settings.key_env} holds is no key: it has blanks or odd characters")
    return key


def takes_draws(settings: LLMSettings) -> bool:
    """Whether one request may ask for several choices. Ollama ignores ``n`` (its compatibility page)."""
    return settings.endpoint != "ollama"


def body(settings: LLMSettings, request: Request, dropped: Collection[str] = ()) -> dict[str, Any]:
    """The JSON body of a chat completion.

    Args:
        settings: of the model.
        request: to be sent.
        dropped: fields that the endpoint is known to refuse.
    """
    fields: dict[str, Any] = {
        "model": settings.model,
        "messages": [m.model_dump() for m in request.messages],
        "max_tokens": request.max_tokens,
        "seed": request.seed,
        "n": request.draws,
        "temperature": settings.temperature,
        "top_p": settings.top_p,
    }
    match settings.endpoint:
        case "embedded":
            from .server import extra_body

            fields |= extra_body(settings, request.form)
            if request.form.grammar is None:
                fields |= _response_format(request.form)
        case "llama_cpp":
            # The server's own top_k and min_p would cut the tails off every distribution.
            fields |= {"top_k": 0, "min_p": 0.0, **_grammar_or_schema(request.form)}
        case "vllm":
            # Without these the sampling defaults in the model's repository hold.
            fields |= {"top_k": -1, "min_p": 0.0, **_vllm_form(request.form)}
        case _:
            fields |= _response_format(request.form)
    if request.draws == 1:
        del fields["n"]
    for old, new in RENAMED.items():
        if old in dropped:
            fields[new] = fields.pop(old)
    return {k: v for k, v in fields.items() if k not in dropped}


def refused_field(failure: Failure, sent: dict[str, Any]) -> str | None:
    """The field of a request that an endpoint does not understand and that it can go without, if that is what it says.

    Args:
        failure: what it answered.
        sent: the body of the request.
    """
    if failure.status not in (400, 422):
        return None
    for old, new in RENAMED.items():
        if old in sent and new in failure.reason:
            return old
    spare = {f: p for f, p in DISPENSABLE.items() if f in sent and (f not in SAMPLING or sent[f] == 1)}
    named = [f for f in spare if failure.param.partition(".")[0] == f]
    named += [f for f, pattern in spare.items() if pattern.search(failure.reason)]
    return named[0] if named else None


def _response_format(form: Form) -> dict[str, Any]:
    if form.json_schema is None:
        return {}
    schema = {"name": "rows", "schema": form.json_schema, "strict": True}
    return {"response_format": {"type": "json_schema", "json_schema": schema}}


def _grammar_or_schema(form: Form) -> dict[str, Any]:
    return {"grammar": form.grammar} if form.grammar else _response_format(form)


def _vllm_form(form: Form) -> dict[str, Any]:
    # https://docs.vllm.ai/en/latest/features/structured_outputs/: guided_grammar was removed in v0.12.
    return {"structured_outputs": {"grammar": form.grammar}} if form.grammar else _response_format(form)
