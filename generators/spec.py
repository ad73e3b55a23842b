"""From a configuration to a generator: which class, which parameters, which version."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Mapping
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, Self

from pydantic import Field

from ..results.errors import UserError
from ..results.record import Frozen, canonical_json
from .base import Generator


class GeneratorSpec(Frozen):
    """A generator as configured: what ``conf/generator/*.yaml`` and the command line say.

    Attributes:
        name: what the board calls it.
        target: dotted path of the class, ``my_pkg.MyGenerator``.
        params: arguments of its ``__init__``.
    """

    name: str
    target: str
    params: dict[str, Any] = Field(default_factory=dict)

    @classmethod
    def parse(cls, config: dict[str, Any]) -> Self:
        """Read the mapping of a config file: ``name``, ``_target_``, and the parameters beside them.

        Raises:
            UserError: there is no ``_target_``, or a parameter is no JSON value.
        """
        params = dict(config)
        target = params.pop("_target_", None)
        if not target:
            raise UserError("a generator's config needs `_target_: package.module.Class`")
        name = params.pop("name", None) or str(target).rpartition(".")[2]
        try:
            canonical_json(params)
        except (TypeError, ValueError) as error:
            raise UserError(f"generator '{name}' has a parameter that cannot be recorded: {error}") from None
        return cls(name=str(name), target=str(target), params=params)

    def resolve(self) -> type[Generator]:
        """Import the class.

        Raises:
            UserError: it cannot be imported, or is no generator.
        """
        try:
            found = resolve_name(self.target)
        except Exception as error:  # a module of the user's own may raise anything when it is imported
            absent = isinstance(error, (ModuleNotFoundError, AttributeError))
            remedy = "is the module on the path, or in the current folder?" if absent else "correct the module"
            raise UserError(
                f"generator '{self.name}': {self.target} cannot be imported ({_one_line(error)}): {remedy}"
            ) from None
        if not (isinstance(found, type) and issubclass(found, Generator)):
            raise UserError(f"{self.target} is not a generator: subclass synthward.generators.Generator")
        if inspect.isabstract(found):
            lacking = ", ".join(sorted(found.__abstractmethods__))
            raise UserError(f"{self.target} lacks {lacking}")
        return found

    def build(self) -> Generator:
        """Make a generator with these parameters.

        Raises:
            UserError: ``__init__`` does not know a parameter, and the message names those it knows; or it raised.
        """
        found = self.resolve()
        try:
            inspect.signature(found).bind(**self.params)
        except TypeError as error:
            known = ", ".join(inspect.signature(found).parameters) or "no parameters"
            raise UserError(f"generator '{self.name}': {error}; it takes {known}") from None
        try:
            return found(**self.params)
        except Exception as error:
            raise UserError(f"generator '{self.name}' refuses its settings: {_one_line(error)}") from None

    def version(self) -> str:
        """The declared version, or a hash of the source for a class that declares none.

        The content of files that the parameters name, such as rows made elsewhere, is part of it.
        """
        found = self.resolve()
        declaring = next(c for c in found.__mro__ if "version" in vars(c))
        # A version says nothing of what a subclass in another module makes of the class.
        declared = found.version if declaring.__module__ == found.__module__ else None
        declared = declared or f"source-{_sha256(Path(inspect.getfile(found)))}"
        return "+".join([declared, *(f"file-{_sha256(path)}" for path in named_paths(self.params) if path.is_file())])

    def facts(self) -> dict[str, Any]:
        """The parameters that decide the rows, as they are recorded; a file's content is part of the version."""
        return without_folder(self.resolve().defining(self.params))


def without_folder(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with the file that ``path`` names by its name alone: where it lay is nobody's business."""
    path = settings.get("path")
    if not (isinstance(path, str) and Path(path).expanduser().is_file()):
        return dict(settings)
    return {**settings, "path": Path(path).name}


def named_paths(settings: Mapping[str, Any]) -> list[Path]:
    """The files and folders that exist among the settings ``path`` and ``card``."""
    named = (settings.get(key) for key in ("path", "card"))
    return [path for path in (Path(n).expanduser() for n in named if isinstance(n, str) and n) if path.exists()]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:12]


def _one_line(error: Exception) -> str:
    """An exception as one line; the module's own absence needs no name of a class."""
    text = " ".join(str(error).split())
    return text if isinstance(error, (ModuleNotFoundError, AttributeError)) else f"{type(error).__name__}: {text}"
