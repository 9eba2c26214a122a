"""Loads the agent into a Python process of the subject, then runs the `sitecustomize` it shadows.

The host puts this folder at the head of PYTHONPATH. It stays there for the processes that this one
starts, and is taken off `sys.path`, so that the subject's imports do not meet it.
"""

import os
import sys


def _load_agent(folder: str) -> None:
    """Register with the host. Nothing that goes wrong here may reach the subject."""
    try:
        package = sys.modules.get("_leak_agent")
        if package is None:
            package = type(sys)("_leak_agent")
            package.__path__ = [os.path.dirname(folder)]
            sys.modules["_leak_agent"] = package
        from _leak_agent.resident import join  # type: ignore[import-not-found,unused-ignore]

        join()
    except BaseException:  # noqa: S110 - the subject goes on without the agent
        pass


def _run_shadowed(folder: str) -> None:
    """Run the subject's own `sitecustomize`, if it has one, as if this one were not there."""
    external = sys.modules["_frozen_importlib_external"]
    here = [path for path in sys.path if path != folder]
    spec = external.PathFinder.find_spec("sitecustomize", here)
    if spec is None or spec.loader is None:
        return
    module = sys.modules["_frozen_importlib"].module_from_spec(spec)
    sys.modules["sitecustomize"] = module
    spec.loader.exec_module(module)


_folder = os.path.dirname(os.path.abspath(__file__))
while _folder in sys.path:
    sys.path.remove(_folder)
if os.environ.get("LEAK_SUITE_AGENT"):
    _load_agent(_folder)
_run_shadowed(_folder)
