"""What goes wrong between us and an endpoint, said in one line that holds no secret."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from ...results.errors import UserError
from .exchange import Reply

LINE = 300  # characters of an endpoint's own words that are passed on
PASSING = (408, 409, 425, 429)  # and all from 500 on
KEY_LIKE = re.compile(r"\b(sk|gsk|hf|key|Bearer)[-_ ][\w.*-]{6,}")


class EndpointError(UserError):
    """The endpoint cannot serve us, at once or after all retries.

    Attributes:
        replies: what came all the same, in the order of the requests; ``None`` for those that did not.
    """

    replies: Sequence[Reply | None] = ()


class DeadlineError(UserError):
    """The cell's requests took longer than ``llm.cell_seconds``.

    Attributes:
        replies: what came in time, in the order of the requests; ``None`` for those that did not.
    """

    replies: Sequence[Reply | None] = ()


@dataclass(frozen=True)
class Failure:
    """How one attempt at a request failed.

    Attributes:
        reason: one clean line: what happened.
        status: of HTTP, 0 if none came.
        code, param: the endpoint's own code for the error and the field that it blames, if it said so.
        wait: seconds that the endpoint asks us to wait.
        passing: whether another attempt may go well.
        absent: whether there was nobody to talk to.
        paid: whether the endpoint may have billed the attempt, as it had begun to answer.
        kind: of a failure without a status of HTTP: ``timeout``, ``connection`` or ``malformed``.
    """

    reason: str
    status: int = 0
    code: str = ""
    param: str = ""
    wait: float | None = None
    passing: bool = False
    absent: bool = False
    paid: bool = False
    kind: str = ""


class Secrets:
    """Values that must stand in no message, file or log."""

    def __init__(self, *values: str) -> None:
        self._values = [v for v in values if v]

    def redact(self, text: str) -> str:
        """The text without them."""
        for value in self._values:
            text = text.replace(value, "[key]")
        return text

    def line(self, text: str) -> str:
        """One printable line of an endpoint's own words, bounded, without keys or what looks like one."""
        # Before the cut, which could leave a part of a key that is then not found.
        clean = KEY_LIKE.sub("[key]", self.redact(text[: 64 * LINE]))
        words = "".join(c if c.isprintable() else " " for c in clean).split()
        return " ".join(words)[:LINE]

    def __repr__(self) -> str:
        return f"Secrets({len(self._values)})"


def of_status(status: int, body: object, headers: Mapping[str, str], secrets: Secrets) -> Failure:
    """Judge an answer that is none.

    Args:
        status: of HTTP, not 2xx.
        body: of the answer, as far as it is JSON; untrusted.
        headers: by lower-case name.
        secrets: to keep out of the reason.
    """
    error = body.get("error", body) if isinstance(body, dict) else body
    told = error if isinstance(error, dict) else {"message": error}
    message, code, param = (_text(told.get(name)) for name in ("message", "code", "param"))
    if not message and "detail" in told:  # FastAPI's way
        message = _text(told["detail"])
    return Failure(
        reason=secrets.line(message) or "it gives no reason",
        status=status,
        code=secrets.line(code),
        param=secrets.line(param),
        wait=retry_after(headers),
        passing=(status in PASSING or status >= 500) and code != "insufficient_quota",
    )


def explain(failure: Failure, base_url: str, model: str, key_env: str | None) -> str:
    """One line for a failure that no further attempt will mend: what is wrong and what to do."""
    place = f"the endpoint {base_url}"
    if failure.status in (401, 403):
        # Its own words are not repeated: endpoints quote keys.
        remedy = f"check the key in {key_env}" if key_env else "name the variable that holds a key with llm.key_env="
        return f"{place} refuses access ({failure.status}): {remedy}"
    if failure.status == 404:
        return f"{place} has no model '{model}', or is no OpenAI-compatible address (404): {failure.reason}"
    if 300 <= failure.status < 400:
        return f"{place} redirects elsewhere ({failure.status}), which is not followed: correct llm.base_url"
    if failure.code == "insufficient_quota":
        return f"{place} has no quota left: {failure.reason}"
    if failure.status:
        return f"{place} answers {failure.status}: {failure.reason}"
    return f"{place}: {failure.reason}"


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that an endpoint asks us to wait, from ``retry-after-ms`` or ``retry-after`` (seconds or a date)."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            seconds = float(headers.get(name, "")) * unit
        except ValueError:
            continue
        if math.isfinite(seconds):
            return max(0.0, seconds)
    try:
        return max(0.0, parsedate_to_datetime(headers.get("retry-after", "")).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else repr(value)[: 64 * LINE]
