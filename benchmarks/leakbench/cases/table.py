"""The one table of own cases."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from benchmarks.leakbench.cases import (
    clean_async,
    clean_caches,
    clean_cycles,
    clean_handles,
    clean_memory,
    clean_shapes,
    leaks_async,
    leaks_containers,
    leaks_handles,
    leaks_native,
    leaks_objects,
    leaks_registries,
    leaks_shapes,
)
from benchmarks.leakbench.cases.case import OwnCase

__all__ = ["OWN_CASES"]

_MODULES = (
    leaks_containers,
    leaks_objects,
    leaks_registries,
    leaks_handles,
    leaks_async,
    leaks_native,
    leaks_shapes,
    clean_caches,
    clean_cycles,
    clean_handles,
    clean_async,
    clean_memory,
    clean_shapes,
)

OWN_CASES: Mapping[str, OwnCase] = MappingProxyType(
    {
        case.name: case
        for module in _MODULES
        for case in vars(module).values()
        if isinstance(case, OwnCase)
    }
)
