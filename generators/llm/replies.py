"""Reads the body of a chat completion: untrusted data, checked before any use."""

from __future__ import annotations

import json
from typing import Any

from .exchange import Choice, Reply, Usage
from .failures import Failure, Secrets

TOKENS = 10**9  # more than any reply has; a larger count is a lie
NAME, REASON = 200, 2000  # characters kept


class MalformedReplyError(Exception):
    """The body is no chat completion."""


def parse(body: bytes, key: str, draws: int, secrets: Secrets) -> Reply:
    """Read a chat completion.

    Args:
        body: as it came. Bytes that are no UTF-8 become U+FFFD: what they spoil is for the row's validation.
        key: of the request.
        draws: more choices than that are cut off.
        secrets: taken out of the text, should the endpoint echo them.

    Returns:
        The reply; its usage is zero where the endpoint told none.

    Raises:
        MalformedReplyError: it is no JSON, or not of this form, or holds no choice.
    """
    try:
        data = json.loads(body.decode("utf-8", "replace"))
        choices = data["choices"]
        found = tuple(_choice(c, secrets) for c in choices[:draws])
    except (ValueError, RecursionError):
        raise MalformedReplyError("its reply is no JSON") from None
    except (KeyError, TypeError, AttributeError):
        raise MalformedReplyError("its reply is no chat completion") from None
    if not found:
        raise MalformedReplyError("its reply holds no choice")
    usage = data.get("usage")
    return Reply(
        key=key,
        choices=found,
        usage=Usage(prompt_tokens=_count(usage, "prompt_tokens"), completion_tokens=_count(usage, "completion_tokens")),
        model=_clean(data.get("model"), secrets)[:NAME],
    )


def filtered(failure: Failure, key: str) -> Reply | None:
    """The reply that a failure is in truth, if the endpoint's filter of contents refused the request with this key."""
    if failure.code not in ("content_filter", "content_policy_violation"):
        return None
    return Reply(key=key, choices=(Choice(text="", finish="content_filter", refusal=failure.reason),))


def _choice(choice: dict[str, Any], secrets: Secrets) -> Choice:
    message = choice["message"]
    return Choice(
        text=_clean(message.get("content"), secrets),
        finish=_clean(choice.get("finish_reason"), secrets)[:NAME] or "stop",
        refusal=_clean(message.get("refusal"), secrets)[:REASON],
    )


def _clean(value: object, secrets: Secrets) -> str:
    if not isinstance(value, str):
        return ""
    # The round trip is for lone surrogates, which JSON can spell and no file can hold.
    return secrets.redact(value.encode("utf-8", "replace").decode("utf-8"))


def _count(usage: object, name: str) -> int:
    count = usage.get(name) if isinstance(usage, dict) else None
    return count if isinstance(count, int) and not isinstance(count, bool) and 0 <= count < TOKENS else 0
