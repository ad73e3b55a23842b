"""Transcripts: what a model answered, and where no row was in it what it was asked, so that anybody can replay it.

A reply is found by the key of its request, which whoever has the table can build again. Requests that hold rows
or statistics of a table are therefore left out: a transcript is made to be published, and the table is not.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ...results.errors import UserError, first_fault
from ...results.record import Frozen
from .exchange import Exchange, Reply, Request
from .failures import LINE, DeadlineError

FORMAT = "synthward-transcript"
VERSION = 1
SUFFIX = ".transcript.jsonl.gz"
MAX_BYTES = 512 * 2**20  # of one transcript, decompressed
MAX_LINE = 32 * 2**20


class Line(Frozen):
    """One exchange in a transcript; without the request, it is known by the reply's key alone."""

    request: Request | None = None
    reply: Reply


def dump(exchanges: Sequence[Exchange], requests: bool = True, ended: str = "") -> bytes:
    """Write a transcript: gzip'd JSON lines, the same bytes for the same exchanges.

    Args:
        exchanges: with one model, at least one of them.
        requests: whether to write the requests, too: only where they hold neither rows nor statistics.
        ended: why there are no more, if the run ended before it had its rows.

    Raises:
        ValueError: none, or of several models.
    """
    models = {json.dumps(e.request.model, sort_keys=True) for e in exchanges}
    if len(models) != 1:
        raise ValueError(f"a transcript is of one model, not {len(models)}")
    header = {"format": FORMAT, "version": VERSION, "model": exchanges[0].request.model}
    header |= {"ended": ended} if ended else {}
    told = (Line(request=e.request if requests else None, reply=e.reply) for e in exchanges)
    lines = [json.dumps(header, sort_keys=True), *(line.model_dump_json(exclude_none=True) for line in told)]
    return gzip.compress("".join(f"{line}\n" for line in lines).encode(), mtime=0)


def defining_of(path: Path, model: str | None = None) -> dict[str, Any]:
    """The defining settings of the model in a transcript.

    Args:
        path: a transcript, or a folder of them.
        model: its name, needed where there are transcripts of several.

    Raises:
        UserError: there is no such transcript, or it is not clear which model is meant.
    """
    found: dict[str, dict[str, Any]] = {}
    for file in _files(path):
        settings = dict(_header(file, next(_lines(file), b""))["model"])
        if model in (None, "", settings.get("model")):
            found[json.dumps(settings, sort_keys=True)] = settings
    if len(found) == 1:
        return next(iter(found.values()))
    if not found:
        raise UserError(f"no transcript in {path} is of the model '{model}'")
    names = ", ".join(sorted({_named(s) for s in found.values()}))
    raise UserError(f"{path} holds transcripts of several models, choose one with llm.model=: {names}")


class Transcripts:
    """Exchanges of one or more transcripts, by the keys of their requests."""

    def __init__(
        self, path: Path, lines: Mapping[str, Sequence[tuple[Path, bytes]]], ended: Mapping[Path, str]
    ) -> None:
        self._path = path
        self._lines = lines  # validated when asked for: a folder holds many that nobody asks for
        self._ended = ended

    @classmethod
    def read(cls, path: Path) -> Transcripts:
        """Read a transcript, or all of them below a folder.

        Raises:
            UserError: there is none, or one is damaged or too large.
        """
        found: defaultdict[str, list[tuple[Path, bytes]]] = defaultdict(list)
        ended: dict[Path, str] = {}
        for file in _files(path):
            lines = _lines(file)
            header = _header(file, next(lines, b""))
            if "ended" in header:
                ended[file] = " ".join(str(header["ended"])[:LINE].split())
            for line in lines:
                try:
                    found[str(json.loads(line)["reply"]["key"])].append((file, line))
                except (ValueError, KeyError, TypeError, RecursionError):
                    raise UserError(f"{file} is a damaged transcript: a line of it is no exchange") from None
        return cls(path, found, ended)

    def __len__(self) -> int:
        return len(self._lines)

    def get(self, request: Request) -> Exchange | None:
        """The exchange that answers a request, if it is there.

        Raises:
            UserError: it is damaged, or two transcripts answer it differently.
        """
        found = [_reply(file, line) for file, line in self._lines.get(request.key, ())]
        if not found:
            return None
        if any(reply.choices != found[0].choices for reply in found):
            files = ", ".join(sorted({str(file) for file, _ in self._lines[request.key]}))
            raise UserError(f"transcripts answer the same request differently: name one with llm.transcript= ({files})")
        return Exchange(request=request, reply=found[0])

    def lack(self, request: Request, known: Iterable[str]) -> UserError:
        """Why a request is not there: the run had ended, or was another one.

        Args:
            request: of a run.
            known: keys of the requests of the same run that are there.
        """
        files = [{file for file, _ in self._lines[key]} for key in known]
        for file in set.intersection(*files) if files else ():
            if file in self._ended:
                return DeadlineError(self._ended[file])
        return UserError(
            f"the transcript {self._path} does not hold request {request.index} ({request.key[:12]}): it was made "
            "with another table, prompt, model, seed or number of rows"
        )


def _files(path: Path) -> list[Path]:
    # In a store, a transcript has its cell's folder to itself and no name before the ending.
    files = sorted(path.rglob(f"*{SUFFIX[1:]}")) if path.is_dir() else [path]
    if not files or not all(f.is_file() for f in files):
        raise UserError(f"there is no transcript at {path}: name a file *{SUFFIX} or a folder with llm.transcript=")
    return files


def _lines(file: Path) -> Iterator[bytes]:
    """Lines of a transcript, within bounds: a few bytes can decompress to any number."""
    total = 0
    try:
        with gzip.open(file) as stream:
            while line := stream.readline(MAX_LINE + 1):
                total += len(line)
                if len(line) > MAX_LINE or total > MAX_BYTES:
                    raise UserError(f"{file} is no transcript: it is larger than any")
                yield line
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{file} is a damaged transcript: {error}") from None


def _header(file: Path, line: bytes) -> dict[str, Any]:
    try:
        header = json.loads(line)
        known = header["format"] == FORMAT and isinstance(header["model"], dict)
        version = header["version"]
    except (ValueError, KeyError, TypeError, RecursionError):
        known, version = False, None
    if not known:
        raise UserError(f"{file} is no transcript of synthward")
    if version != VERSION:
        raise UserError(f"{file} is a transcript of version {version}; this synthward reads version {VERSION}")
    return dict(header)


def _reply(file: Path, line: bytes) -> Reply:
    try:
        exchange = Line.model_validate_json(line)
    except ValidationError as error:
        fault = first_fault(error)
        raise UserError(f"{file} is a damaged transcript: {fault.place or 'the whole'}: {fault.text}") from None
    if exchange.request is not None and exchange.request.key != exchange.reply.key:
        raise UserError(f"{file} is a damaged transcript: a reply is not to its request")
    return exchange.reply


def _named(settings: Mapping[str, Any]) -> str:
    return f"{settings.get('model')} ({settings.get('endpoint')}, temperature {settings.get('temperature')})"
