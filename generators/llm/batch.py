"""OpenAI's Batch API: half the price, up to a day later. A run that was interrupted finds its batches again.

https://platform.openai.com/docs/guides/batch
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import time
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
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
from .failures import EndpointError, Failure, Secrets
from .sender import FIRST_PAUSE, LONGEST_PAUSE, Learned
from .settings import LLMSettings

if TYPE_CHECKING:
    import openai

LINES, INPUT_BYTES = 50_000, 190 * 2**20  # of one batch; OpenAI takes 200 MB
OUTPUT_BYTES = 2**30
ENDED = ("completed", "failed", "expired", "cancelled")
LABEL = "synthward"  # of the metadata in which a batch carries the ticket of its reservation


class GoneError(EndpointError):
    """The endpoint does not know what it is asked about, such as a batch (404)."""


class Submitted(Frozen):
    """A batch that is under way, as it is kept in the cache folder until its replies are in the cache.

    Attributes:
        id: that the endpoint gave it; "" until it did.
        ticket: of its reservation in the budget.
        requests: in the batch.
        dropped: fields that they go without, as the endpoint refuses them.
    """

    id: str = ""
    ticket: str
    requests: tuple[Request, ...]
    dropped: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """Of the keys of the requests."""
        return hashlib.sha256("\n".join(sorted(r.key for r in self.requests)).encode()).hexdigest()


class Batches:
    """Answers requests by batches.

    Args:
        settings: of the model and the way to it; with a cache.
        learned: of the endpoint so far; added to.
        budget: of the store.
        ends: monotonic time at which waiting ends.
    """

    def __init__(self, settings: LLMSettings, learned: Learned, budget: Budget, ends: float) -> None:
        self._settings, self._learned, self._budget, self._ends = settings, learned, budget, ends
        self._folder = Path(settings.cache or "") / "batches"
        self._key = endpoints.api_key(settings)
        self._base_url = endpoints.address(settings)
        self._secrets = Secrets(self._key)

    async def complete(
        self,
        pending: Sequence[Request],
        recall: Callable[[Request], bool],
        keep: Callable[[Request, Reply], Awaitable[None]],
    ) -> list[Request]:
        """Answer requests.

        Args:
            pending: the requests.
            recall: whether a request is answered already.
            keep: takes each reply.

        Returns:
            Those that are for several draws, without an answer, as the endpoint gives one at a time.

        Raises:
            StoppedError: a batch is not through when time is over; the same command goes on waiting for it.
            EndpointError: a batch failed or expired, or some of its lines fail for good, or again and again.
            BudgetSpentError: the next request does not fit.
        """
        failed_rounds = 0
        try:
            async with asyncio.timeout_at(asyncio.get_running_loop().time() + self._ends - time.monotonic()):
                limits = self._settings.query, self._settings.request_seconds, OUTPUT_BYTES
                async with transport.connected(self._base_url, self._key, *limits) as sdk:
                    while missing := [r for r in pending if not (self._apart(r) or recall(r))]:
                        async with locked(self._folder / "submit.lock"):
                            batch = await self._submitted(sdk, missing)
                        async with locked(self._path(batch).with_suffix(".lock")):
                            if not self._path(batch).exists():  # another process has just collected it
                                continue
                            try:
                                reason = await self._collect(sdk, batch, recall, keep)
                            except GoneError:
                                self._forget(batch, None)  # which may have been billed
                                reason = "the endpoint does not know it any more"
                        failed_rounds += bool(reason)
                        if failed_rounds > self._settings.retries:
                            raise EndpointError(f"requests of batch {batch.id} fail again and again: {reason}")
        except TimeoutError:
            raise StoppedError(
                f"no batch was through within llm.cell_seconds={self._settings.cell_seconds:g}: "
                "run the same command again to go on waiting for it"
            ) from None
        return [r for r in pending if self._apart(r) and not recall(r)]

    def _apart(self, request: Request) -> bool:
        return request.draws > 1 and "n" in self._learned.dropped

    async def _submitted(self, sdk: openai.AsyncOpenAI, missing: Sequence[Request]) -> Submitted:
        """The batch that holds some of the requests: one of an earlier run, or a new one."""
        keys = {r.key for r in missing}
        for batch in self._unfinished():
            if keys & {r.key for r in batch.requests}:
                self._learned.dropped |= set(batch.dropped)
                return batch if batch.id else await self._create(sdk, batch, await self._made(sdk, batch))
        dropped = tuple(sorted(self._learned.dropped))
        first = missing[: sum(1 for _ in self._fitting(missing, dropped))]
        bounds = [at_most(endpoints.body(self._settings, r, dropped)) for r in first]
        count = max(1, self._budget.fitting(bounds))
        ticket = await self._budget.reserve(sum(bounds[:count], Usage()))
        batch = Submitted(ticket=ticket, requests=tuple(first[:count]), dropped=dropped)
        self._write(batch)  # before it is sent: should we be killed meanwhile, the next run looks for it
        return await self._create(sdk, batch)

    async def _create(
        self, sdk: openai.AsyncOpenAI, batch: Submitted, made: openai.types.Batch | None = None
    ) -> Submitted:
        if made is None:
            content = "".join(self._fitting(batch.requests, batch.dropped)).encode()
            try:
                file = await self._call(lambda: sdk.files.create(file=("requests.jsonl", content), purpose="batch"))
            except EndpointError:
                self._forget(batch, Usage())  # nothing was submitted
                raise
            made = await self._call(
                lambda: sdk.batches.create(
                    input_file_id=file.id,
                    endpoint="/v1/chat/completions",
                    completion_window="24h",
                    metadata={LABEL: batch.ticket},
                ),
                made=lambda: self._made(sdk, batch),
            )
        batch = batch.model_copy(update={"id": str(made.id)})
        self._write(batch)
        return batch

    async def _made(self, sdk: openai.AsyncOpenAI, batch: Submitted) -> openai.types.Batch | None:
        """The batch as the endpoint has it, found by its label; ``None`` if it has none."""
        page = await self._call(lambda: sdk.batches.list(limit=100))
        while True:
            found: list[openai.types.Batch] = page.data
            for made in found:
                if (made.metadata or {}).get(LABEL) == batch.ticket:
                    return made
            if not page.has_next_page():
                return None
            page = await self._call(page.get_next_page)

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
        used, learned = Usage(), False
        failed: list[Failure] = []
        for name in (state.output_file_id, state.error_file_id):
            if not name:
                continue
            file = await self._call(partial(sdk.files.content, name))
            for request, outcome in self._lines(file.content, batch):
                if isinstance(outcome, Reply):
                    used += outcome.usage
                    if not recall(request):
                        await keep(request, outcome)
                elif field := endpoints.refused_field(outcome, endpoints.body(self._settings, request, batch.dropped)):
                    self._learned.dropped.add(field)
                    learned = True
                else:
                    failed.append(outcome)
        self._forget(batch, used)
        missing = sum(not recall(r) for r in batch.requests)
        if state.status != "completed":
            told = "; ".join(str(e.message) for e in (state.errors.data or [])[:1]) if state.errors else ""
            raise EndpointError(
                f"batch {batch.id} {state.status} with {missing} of {len(batch.requests)} requests unanswered"
                f"{': ' + self._secrets.line(told) if told else ''}; run the same command again to submit them anew"
            )
        for failure in failed:
            if failure.status and not failure.passing:
                raise EndpointError(self._explain(failure))
        if learned or not missing:
            return ""
        return failed[0].reason if failed else f"{missing} went without an answer"

    def _lines(self, content: bytes, batch: Submitted) -> Iterator[tuple[Request, Reply | Failure]]:
        """Requests with their reply, or with how they failed."""
        requests = {r.key: r for r in batch.requests}
        for text in content.splitlines():
            try:
                line = json.loads(text)
                request = requests[line["custom_id"]]
                response = line.get("response") or {}
                status, body = int(response.get("status_code") or 0), response.get("body")
                if status == 200:
                    reply = replies.parse(json.dumps(body).encode(), request.key, request.draws, self._secrets)
                    yield request, reply.model_copy(update={"dropped": batch.dropped})
                    continue
                failure = failures.of_status(status, body or line.get("error") or {}, {}, self._secrets)
                yield request, replies.filtered(failure, request.key) or failure
            except replies.MalformedReplyError as error:
                yield request, Failure(str(error), passing=True)
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                continue  # a line of nobody; its request counts as unanswered

    async def _call(self, make: Callable[[], Awaitable[Any]], made: Callable[[], Awaitable[Any]] | None = None) -> Any:
        """Call the endpoint, again and again if that may help.

        Args:
            make: the call.
            made: looks for what a call has made whose answer was lost, so that it is not made twice.
        """
        seconds, attempts = self._settings.request_seconds, 0
        while True:
            try:
                async with asyncio.timeout(seconds):
                    return await make()
            except transport.errors() as error:
                failure = transport.failure_of(error, seconds, self._secrets)
            attempts += 1
            if not failure.passing or failure.absent or attempts > self._settings.retries:
                raise (GoneError if failure.status == 404 else EndpointError)(self._explain(failure))
            await asyncio.sleep(failure.wait or min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (attempts - 1)))
            if made is not None and (found := await made()) is not None:
                return found

    def _explain(self, failure: Failure) -> str:
        return failures.explain(failure, self._base_url, self._settings.model, self._settings.key_env)

    def _fitting(self, requests: Sequence[Request], dropped: Collection[str]) -> Iterator[str]:
        """Lines of the first requests that fit into one batch; at least one."""
        total = 0
        for number, request in enumerate(requests):
            body = endpoints.body(self._settings, request, dropped)
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

    def _forget(self, batch: Submitted, used: Usage | None) -> None:
        self._budget.settle(batch.ticket, used)
        self._path(batch).unlink(missing_ok=True)

    def _path(self, batch: Submitted) -> Path:
        return self._folder / f"{batch.digest}.json"
