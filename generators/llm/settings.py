"""Settings of a language model and of the way to it: what ``conf/llm/*.yaml`` says."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, field_validator, model_validator

from ...results.errors import UserError, first_fault
from ...results.record import Frozen

Endpoint = Literal["embedded", "openai", "vllm", "ollama", "llama_cpp", "replay"]
Structure = Literal["grammar", "json_schema", "none"]
RowFormat = Literal["csv", "json", "array"]


class Price(Frozen):
    """US dollars for a million tokens of prompt and of completion."""

    prompt: float = Field(ge=0)
    completion: float = Field(ge=0)


class LLMSettings(Frozen):
    """A language model, how it is sampled, and how it is reached.

    The fields up to ``exact`` decide what it answers and are part of a cell's identity
    (:data:`DEFINING`). The others say how the answer is come by.

    Attributes:
        endpoint: kind of the endpoint: which fields of a request it understands.
        model: name that the endpoint knows.
        digest: SHA-256 of the model's file, where there is one.
        temperature, top_p: of sampling.
        draws: choices asked for in one request; they share the cost of its prompt.
        rows_per_reply: rows asked for in one choice. Small models do best with one.
        format: how a row is written: CSV lines, JSON objects, or JSON arrays under one header.
        structure: what holds the reply to its form: a GBNF grammar, a JSON schema, or the prompt alone.
        exact: whether the embedded runtime is held to what makes its replies reproducible bit by bit: one
            request at a time, no cached prompts.
        base_url: of an OpenAI-compatible endpoint; found by itself for the embedded one.
        query: query parameters of every request, such as Azure's ``api-version``.
        key_env: environment variable that holds the key; the key itself stands nowhere.
        concurrency: requests in flight.
        request_seconds: deadline of one attempt at a request.
        cell_seconds: deadline of one cell's requests together; then it ends with the rows that it has.
        retries: further attempts after a failure that may pass: rate limits, server errors, lost connections.
        max_rejects: replies without any valid row, in a row, after which a cell gives up.
        allow_remote: whether rows or statistics of a ``local-only`` table may leave this machine.
        cache: folder of replies already paid for; ``None`` keeps none.
        transcript: file or folder of transcripts to replay.
        batch: whether requests go through the endpoint's batch API.
        batch_poll_seconds: pause between looks at a batch.
        max_tokens, max_cost_usd: what a store may spend on this model in all; ``None`` sets no limit.
        ledger: file in which a store's spending is added up, model by model.
        price: of the model, also given as a table by model name; ``None`` if unknown.
        threads, slots, context: of the embedded runtime.
        tokens_per_second, prompt_tokens_per_second: expected speeds of writing and of reading, for the plan.
    """

    endpoint: Endpoint = "embedded"
    model: str = ""
    digest: str = ""
    temperature: float = Field(default=1.0, ge=0, le=2)
    top_p: float = Field(default=1.0, gt=0, le=1)
    draws: int = Field(default=1, ge=1, le=128)
    rows_per_reply: int = Field(default=10, ge=1, le=1000)
    format: RowFormat = "json"
    structure: Structure = "none"
    exact: bool = True

    base_url: str | None = None
    query: dict[str, str] = Field(default_factory=dict)
    key_env: str | None = None
    concurrency: int = Field(default=4, ge=1, le=256)
    request_seconds: float = Field(default=120, gt=0)
    cell_seconds: float = Field(default=1500, gt=0)
    retries: int = Field(default=5, ge=0, le=100)
    max_rejects: int = Field(default=20, ge=1)
    allow_remote: bool = False
    cache: str | None = None
    transcript: str | None = None
    batch: bool = False
    batch_poll_seconds: float = Field(default=30, gt=0)
    max_tokens: int | None = Field(default=None, ge=1)
    max_cost_usd: float | None = Field(default=None, gt=0)
    ledger: str | None = None
    price: Price | None = None
    threads: int = Field(default=1, ge=1)
    slots: int = Field(default=8, ge=1, le=64)
    context: int = Field(default=4096, ge=256)
    tokens_per_second: float | None = Field(default=None, gt=0)
    prompt_tokens_per_second: float | None = Field(default=None, gt=0)

    @classmethod
    def parse(cls, config: Mapping[str, Any]) -> Self:
        """Read the ``llm`` group of a configuration.

        Raises:
            UserError: one line that names the wrong field.
        """
        try:
            return cls(**config)
        except ValidationError as error:
            fault = first_fault(error, "llm")
            if fault.kind == "extra_forbidden":
                raise UserError(f"there is no option {fault.place}; there are {', '.join(cls.model_fields)}") from None
            raise UserError(f"{fault.place}: {fault.text}") from None

    # The messages quote nothing: what is refused may be a key.

    @field_validator("base_url")
    @classmethod
    def _is_address(cls, url: str | None) -> str | None:
        if not url:
            return url
        try:
            parts = urlsplit(url)
            sound = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            sound = False
        if not sound:
            raise ValueError("is no address of the form http://host:port/v1")
        if "@" in parts.netloc:
            raise ValueError("holds a name or password: keep it in a variable and name that with llm.key_env=")
        if parts.query or parts.fragment:
            raise ValueError("ends in a query: give its parts as llm.query.NAME=, and a key by llm.key_env=")
        return url

    @field_validator("key_env")
    @classmethod
    def _is_variable(cls, name: str | None) -> str | None:
        if name is not None and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise ValueError("is the name of the variable that holds the key, never the key itself")
        return name

    @model_validator(mode="before")
    @classmethod
    def _price_of_model(cls, fields: dict[str, Any]) -> dict[str, Any]:
        """Find the model's price in a table, so that another ``llm.model=`` never keeps the price of the first."""
        price = fields.get("price")
        if isinstance(price, Mapping) and not set(price) & set(Price.model_fields):
            return fields | {"price": price.get(fields.get("model"))}
        return fields

    @model_validator(mode="after")
    def _held(self) -> Self:
        if self.format == "csv" and self.structure == "json_schema":
            raise ValueError(
                "format=csv has no JSON schema: set llm.structure=none, or llm.structure=grammar where the endpoint "
                "knows it, or llm.format=json"
            )
        return self

    @property
    def defining(self) -> dict[str, Any]:
        """The fields that decide what the model answers, as JSON.

        Where a model's own file lies on its owner's disk is none of them: its digest says which it is.
        """
        fields = {name: getattr(self, name) for name in DEFINING}
        return fields | {"model": Path(self.model).name} if self.endpoint == "embedded" else fields

    @property
    def loopback(self) -> bool:
        """Whether requests stay on this machine."""
        return self.endpoint in ("embedded", "replay") or is_loopback(self.base_url or "")


DEFINING = (
    *("endpoint", "model", "digest", "temperature", "top_p"),
    *("draws", "rows_per_reply", "format", "structure", "exact"),
)


def is_loopback(url: str) -> bool:
    """Whether a URL's host is this machine, judged by its text: a name could lead anywhere."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
