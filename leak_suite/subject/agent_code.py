"""The agent's own code, loaded by path for use in this process."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

__all__ = ["agent_module"]

_FOLDER = Path(__file__).parent.parent / "agent"
_NAME = "_leak_agent"


def agent_module(name: str) -> Any:
    """One file of the agent as a module, under the name that it has in a subject too."""
    if _NAME not in sys.modules:
        package = ModuleType(_NAME)
        package.__path__ = [str(_FOLDER)]
        sys.modules[_NAME] = package
    return importlib.import_module(f"{_NAME}.{name}")
