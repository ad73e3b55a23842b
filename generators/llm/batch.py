"""OpenAI's Batch API: half the price, up to a day later. A run that was interrupted finds its batches again.

https://platform.openai.com/docs/guides/batch
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from ...results.errors import StoppedError
from ...results.record import Frozen
from ...results.store import full_disk_is_clear, write_atomically
from . import endpoints, failures, replies, transport
from .budget import Budget, at_most
from .cache import locked
from .exchange import Reply, Request, Usage
from .failures import EndpointError, Secrets
from .sender import FIRST_PAUSE, LONGEST_PAUSE
from .settings import LLMSettings

if TYPE_CHECKING:
    import openai

LINES, INPUT_BYTES = 50_000, 190 * 2**20  # of one batch; OpenAI takes 200 MB
OUTPUT_BYTES = 2**30
ENDED = ("completed", "failed", "expired", "cancelled")
LABEL = "synthward"  # of the metadata in which a batch carries the digest of its keys


class Submitted(Frozen):
    """A batch that is under way, as it is kept in the cache folder until its replies are in the cache.

    Attributes:
        id: that the endpoint gave it; "" until it did.
        ticket: of its reservation in the budget.
        requests: in the batch.
    """

    id: str = ""
    ticket: str
    requests: tuple[Request, ...]

    @property
    def digest(self) -> str:
        """Of the keys of the requests."""
        return hashlib.sha256("\n".join(sorted(r.key for r in self.requests)).encode()).hexdigest()


class Batches:
    """Answers requests by batches.

    Args:
        settings: of the model and the way to it; with a cache.
        budget: of the sweep.
        ends: monotonic time at which waiting ends.
    """

    def __init__(self, settings: LLMSettings, budget: Budget, ends: float) -> None:
        self._settings, self._budget, self._ends = settings, budget, ends
        self._folder = Path(settings.cache or "") / "batches"
        self._key = endpoints.api_key(settings)
        self._base_url = endpoints.address(settings)
        self._secrets = Secrets(self._key)

    async def complete(
        self,
        pending: Sequence[Request],
        recall: Callable[[Request], bool],
        keep: Callable[[Request, Reply], Awaitable[None]],
    ) -> None:
        """Answer requests.

        Args:
            pending: the requests.
            recall: whether a request is answered already.
            keep: takes each reply.

        Raises:
            StoppedError: a batch is not through when time is over; the same command goes on waiting for it.
            EndpointError: a batch failed or expired, or some of its lines fail again and again.
            BudgetSpentError: a batch does not fit.
        """
        failed_rounds = 0
        try:
            async with asyncio.timeout_at(asyncio.get_running_loop().time() + self._ends - time.monotonic()):
                limits = self._settings.query, self._settings.request_seconds, OUTPUT_BYTES
                async with transport.connected(self._base_url, self._key, *limits) as sdk:
                    while missing := [r for r in pending if not recall(r)]:
                        async with locked(self._folder / "submit.lock"):
                            batch = await self._submitted(sdk, missing)
                        async with locked(self._path(batch).with_suffix(".lock")):
                            if not self._path(batch).exists():  # another process has just collected it
                                continue
                            reason = await self._collect(sdk, batch, recall, keep)
                        failed_rounds += bool(reason)
                        if failed_rounds > self._settings.retries:
                            raise EndpointError(f"requests of batch {batch.id} fail again and again: {reason}")
        except TimeoutError:
            raise StoppedError(
                f"no batch was through within llm.cell_seconds={self._settings.cell_seconds:g}: "
                "run the same command again to go on waiting for it"
            ) from None

    async def _submitted(self, sdk: openai.AsyncOpenAI, missing: Sequence[Request]) -> Submitted:
        """The batch that holds some of the requests: one of an earlier run, or a new one."""
        keys = {r.key for r in missing}
        for batch in self._unfinished():
            if keys & {r.key for r in batch.requests}:
                return batch if batch.id else await self._create(sdk, batch)
        first = missing[: sum(1 for _ in self._fitting(missing))]
        ticket = await self._budget.reserve(sum((at_most(endpoints.body(self._settings, r)) for r in first), Usage()))
        batch = Submitted(ticket=ticket, requests=tuple(first))
        self._write(batch)  # before it is sent: should we be killed meanwhile, the next run looks for it
        return await self._create(sdk, batch, anew=True)

    async def _create(self, sdk: openai.AsyncOpenAI, batch: Submitted, anew: bool = False) -> Submitted:
        made = None
        if not anew:
            page = await self._call(lambda: sdk.batches.list(limit=100))
            made = next((b for b in page.data if (b.metadata or {}).get(LABEL) == batch.digest), None)
        if made is None:
            content = "".join(self._fitting(batch.requests)).encode()
            file = await self._call(lambda: sdk.files.create(file=("requests.jsonl", content), purpose="batch"))
            made = await self._call(
                lambda: sdk.batches.create(
                    input_file_id=file.id,
                    endpoint="/v1/chat/completions",
                    completion_window="24h",
                    metadata={LABEL: batch.digest},
                )
            )
        batch = batch.model_copy(update={"id": str(made.id)})
        self._write(batch)
        return batch

    async def _collect(
        self,
        sdk: openai.AsyncOpenAI,
        batch: Submitted,
        recall: Callable[[Request], bool],
        keep: Callable[[Request, Reply], Awaitable[None]],
    ) -> str:
        """Wait for a batch and keep its replies.

        Returns:
            Why some of its requests went without, "" if none did.
        """
        while (state := await self._call(lambda: sdk.batches.retrieve(batch.id))).status not in ENDED:
            await asyncio.sleep(self._settings.batch_poll_seconds)
        requests = {r.key: r for r in batch.requests}
        used, reason = Usage(), ""
        for name in (state.output_file_id, state.error_file_id):
            if not name:
                continue
            file = await self._call(partial(sdk.files.content, name))
            for request, answer in self._lines(file.content, requests):
                if isinstance(answer, str):
                    reason = answer
                    continue
                used = Usage(
                    prompt_tokens=used.prompt_tokens + answer.usage.prompt_tokens,
                    completion_tokens=used.completion_tokens + answer.usage.completion_tokens,
                )
                if not recall(request):
                    await keep(request, answer)
        self._budget.settle(batch.ticket, used)
        self._path(batch).unlink(missing_ok=True)
        missing = sum(not recall(r) for r in batch.requests)
        if state.status != "completed":
            told = "; ".join(str(e.message) for e in (state.errors.data or [])[:1]) if state.errors else ""
            raise EndpointError(
                f"batch {batch.id} {state.status} with {missing} of {len(batch.requests)} requests unanswered"
                f"{': ' + self._secrets.line(told) if told else ''}; run the same command again to submit them anew"
            )
        return reason or (f"{missing} went without an answer" if missing else "")

    def _lines(self, content: bytes, requests: dict[str, Request]) -> Iterator[tuple[Request, Reply | str]]:
        """Requests with their reply, or with the reason why there is none."""
        for text in content.splitlines():
            try:
                line = json.loads(text)
                request = requests[line["custom_id"]]
                response = line.get("response") or {}
                status, body = response.get("status_code"), response.get("body")
                if status != 200:
                    told = body or line.get("error") or {}
                    failure = failures.of_status(int(status or 0), told, {}, self._secrets)
                    yield request, failure.reason
                else:
                    yield request, replies.parse(json.dumps(body).encode(), request.key, request.draws, self._secrets)
            except replies.MalformedReplyError as error:
                yield request, str(error)
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                continue  # a line of nobody; its request counts as unanswered

    async def _call(self, make: Callable[[], Awaitable[Any]]) -> Any:
        """Call the endpoint, again and again if that may help."""
        seconds, attempts = self._settings.request_seconds, 0
        while True:
            try:
                async with asyncio.timeout(seconds):
                    return await make()
            except transport.errors() as error:
                failure = transport.failure_of(error, seconds, self._secrets)
            attempts += 1
            if not failure.passing or failure.absent or attempts > self._settings.retries:
                model, key_env = self._settings.model, self._settings.key_env
                raise EndpointError(failures.explain(failure, self._base_url, model, key_env))
            await asyncio.sleep(failure.wait or min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (attempts - 1)))

    def _fitting(self, requests: Sequence[Request]) -> Iterator[str]:
        """Lines of the first requests that fit into one batch; at least one."""
        total = 0
        for number, request in enumerate(requests):
            body = endpoints.body(self._settings, request)
            line = {"custom_id": request.key, "method": "POST", "url": "/v1/chat/completions", "body": body}
            text = json.dumps(line) + "\n"
            total += len(text)
            if number and (number >= LINES or total > INPUT_BYTES):
                return
            yield text

    def _unfinished(self) -> Iterator[Submitted]:
        for path in sorted(self._folder.glob("*.json")):
            with contextlib.suppress(OSError, ValidationError):
                yield Submitted.model_validate_json(path.read_text(encoding="utf-8"))

    def _write(self, batch: Submitted) -> None:
        with full_disk_is_clear(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
            write_atomically(self._path(batch), batch.model_dump_json())

    def _path(self, batch: Submitted) -> Path:
        return self._folder / f"{batch.digest}.json"
