"""Imports of optional packages."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from ...results.errors import UserError

if TYPE_CHECKING:
    from types import ModuleType


def import_extra(module: str, extra: str) -> ModuleType:
    """Import a module that one of synthward's extras installs.

    Args:
        module: dotted name of the module.
        extra: name of the extra.

    Raises:
        UserError: the module is not installed; the message names the extra.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise UserError(f"{error.name or module} is not installed: pip install 'synthward[{extra}]'") from None
