"""What is said to a language model and what it answers: the vocabulary of the client, its cache and its transcripts."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Literal

from pydantic import Field

from ...results.record import Frozen, sha256_json


class Message(Frozen):
    """One message of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


class Form(Frozen):
    """The form that a reply is held to. An endpoint uses the one that it understands.

    Attributes:
        grammar: GBNF, for llama.cpp's family.
        json_schema: for ``response_format``; ``None`` where the reply is no JSON.
    """

    grammar: str | None = None
    json_schema: dict[str, Any] | None = None


class Request(Frozen):
    """One request, by everything that decides its answer; how it is sent is no part of it.

    Attributes:
        model: the model's defining settings, see ``LLMSettings.defining``.
        messages: the conversation so far.
        form: of the reply.
        max_tokens: of each choice.
        draws: number of choices.
        index: number of the request in its cell, so that equal ones stay distinct.
        seed: of the first choice; others follow from it.
    """

    model: dict[str, Any]
    messages: tuple[Message, ...]
    form: Form = Form()
    max_tokens: int
    draws: int = 1
    index: int = 0
    seed: int = 0

    @cached_property
    def key(self) -> str:
        """Content address: SHA-256 in hex."""
        return sha256_json(self.model_dump(mode="json"))

    def single_draws(self) -> list[Request]:
        """Its draws as requests of one draw each, with the seeds that they have in it."""
        shared = {name: getattr(self, name) for name in type(self).model_fields}  # without the key, unlike model_copy
        return [Request(**shared | {"draws": 1, "seed": self.seed + number}) for number in range(self.draws)]


class Choice(Frozen):
    """One of the replies to a request.

    Attributes:
        text: as it came; untrusted.
        finish: why it ended: ``stop``, ``length``, ``content_filter`` or what else the endpoint said.
        refusal: the model's refusal, where the endpoint tells it apart.
    """

    text: str
    finish: str = "stop"
    refusal: str = ""


class Usage(Frozen):
    """Tokens that a reply cost."""

    prompt_tokens: int = 0
    completion_tokens: int = 0

    @property
    def total(self) -> int:
        """Prompt and completion together."""
        return self.prompt_tokens + self.completion_tokens

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            completion_tokens=self.completion_tokens + other.completion_tokens,
        )


class Reply(Frozen):
    """The answer to a request, as it is cached and replayed.

    Attributes:
        key: of the request.
        choices: in order; at most ``draws`` of them.
        usage: what was billed when it was first paid.
        seconds: wall clock of the attempt that succeeded; the longest, where draws were requests of their own.
        processor_seconds: that an embedded model's server spent on it meanwhile; 0 for any other.
        dropped: fields that the endpoint did not accept, and the request went without.
        model: what the endpoint called the model that answered.
    """

    key: str
    choices: tuple[Choice, ...]
    usage: Usage = Usage()
    seconds: float = 0.0
    processor_seconds: float = 0.0
    dropped: tuple[str, ...] = ()
    model: str = ""


class Exchange(Frozen):
    """A request with its reply: one line of a transcript."""

    request: Request
    reply: Reply = Field(repr=False)

    @classmethod
    def joined(cls, request: Request, parts: Sequence[Reply]) -> Exchange:
        """Put a reply together from replies to single draws of its request, at least one and in their order."""
        reply = Reply(
            key=request.key,
            choices=tuple(choice for part in parts for choice in part.choices),
            usage=sum((part.usage for part in parts), Usage()),
            seconds=max(part.seconds for part in parts),
            processor_seconds=sum(part.processor_seconds for part in parts),
            dropped=tuple(sorted({name for part in parts for name in part.dropped})),
            model=", ".join(sorted({part.model for part in parts if part.model})),
        )
        return cls(request=request, reply=reply)
