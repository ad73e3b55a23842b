"""The way to an endpoint: the ``openai`` package's client, held to bounds of our own."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ...results.errors import UserError
from .failures import Failure, Secrets, of_status
from .settings import is_loopback

if TYPE_CHECKING:
    import openai

REPLY_BYTES = 4 * 2**20
CONNECT_SECONDS = 10.0
# Azure's public, US government and China clouds, and its API management.
AZURE = (".azure.com", ".azure.us", ".azure.cn", ".azure-api.net", ".azure-api.us", ".azure-api.cn")


class ReplyTooLargeError(Exception):
    """A body went on beyond the bound, and was cut off."""


@contextlib.asynccontextmanager
async def connected(
    base_url: str, key: str, query: dict[str, str], seconds: float, limit: int = REPLY_BYTES
) -> AsyncIterator[openai.AsyncOpenAI]:
    """A client of the ``openai`` package that neither retries nor follows redirects.

    Args:
        base_url: of the endpoint. To this machine, proxies of the environment are not used.
        key: sent as a bearer token, and to Azure under its own header too; "" if the endpoint needs none.
        query: parameters of every request.
        seconds: longest silence on the line. The wall clock is the caller's to watch.
        limit: bytes of a body, decompressed; beyond it, :class:`ReplyTooLargeError` is raised.

    Raises:
        UserError: the ``openai`` package is not installed.
    """
    try:
        import openai
    except ImportError:
        raise UserError("language models need the openai package: pip install 'synthward[llm]'") from None

    class Bounded(openai.DefaultAsyncHttpxClient):
        """Reads every body itself, errors' included, so that none can be larger than the limit."""

        async def send(self, request: Any, **options: Any) -> Any:
            response = await super().send(request, **options | {"stream": True})
            content = bytearray()
            try:
                async for chunk in response.aiter_bytes():
                    content += chunk
                    if len(content) > limit:
                        raise ReplyTooLargeError
            finally:
                await response.aclose()
            encoded = ("content-encoding", "content-length", "transfer-encoding")
            headers = [(k, v) for k, v in response.headers.multi_items() if k.lower() not in encoded]
            return type(response)(response.status_code, headers=headers, content=bytes(content), request=request)

    azure = (urlsplit(base_url).hostname or "").endswith(AZURE)
    http = Bounded(
        follow_redirects=False,
        trust_env=not is_loopback(base_url),
        verify=urlsplit(base_url).scheme == "https",  # building a TLS context takes 0.1 s
        timeout=openai.Timeout(seconds, connect=min(seconds, CONNECT_SECONDS)),
    )
    async with openai.AsyncOpenAI(
        api_key=key or "none",  # the package insists on one
        base_url=base_url,
        default_query=query,
        default_headers={"api-key": key} if azure else None,
        max_retries=0,
        http_client=http,
    ) as client:
        yield client


def failure_of(error: BaseException, seconds: float, secrets: Secrets) -> Failure:
    """Judge what the ``openai`` package raised.

    Args:
        error: what :func:`errors` lists.
        seconds: that the attempt was given.
        secrets: to keep out of the reason.
    """
    import openai

    cause = type(error.__cause__).__name__  # a class of httpx or httpx2, by the version of openai
    if isinstance(error, (TimeoutError, openai.APITimeoutError)):
        if cause == "ConnectTimeout":
            return Failure("no connection in time", passing=True, kind="timeout")
        reason = f"no whole reply within llm.request_seconds={seconds:g}"
        return Failure(reason, passing=True, paid=True, kind="timeout")
    if isinstance(error, openai.APIStatusError):
        body = error.body if error.body is not None else error.response.text
        return of_status(error.status_code, body, error.response.headers, secrets)
    if isinstance(error, ReplyTooLargeError):
        return Failure("a reply without end", passing=True, paid=True, kind="malformed")
    if cause == "ConnectError":
        words = secrets.line(str(error.__cause__)) or "no connection"
        remedy = "start it, or correct llm.base_url"
        return Failure(f"nothing answers there ({words}): {remedy}", passing=True, absent=True, kind="connection")
    return Failure("the connection broke off", passing=True, paid=True, kind="connection")


def errors() -> tuple[type[Exception], ...]:
    """What a call through the ``openai`` package may raise, other than by a fault of ours."""
    import openai

    return TimeoutError, openai.OpenAIError, ReplyTooLargeError
