"""The collector's levels, set when an interpreter of the app server starts.

Lies first on PYTHONPATH and chains to the ``sitecustomize`` that it hides. Every Python that the
server starts has the threshold; the recipe for a server that forks is for the server alone, so
its variable is taken away before anything can inherit it.
"""

import gc
import os
import sys
from importlib.machinery import PathFinder
from importlib.util import module_from_spec


def freeze_before_fork() -> None:
    """No collection until the first fork; then what is there is out of the collector's sight."""
    parent = os.getpid()

    def freeze() -> None:
        if os.getpid() == parent:
            gc.freeze()

    gc.disable()
    os.register_at_fork(before=freeze, after_in_parent=gc.enable, after_in_child=gc.enable)


def chain() -> None:
    """The next ``sitecustomize`` on the path, as if this one were not there."""
    here = os.path.dirname(os.path.abspath(__file__))
    rest = [place for place in sys.path if os.path.abspath(place) != here]
    spec = PathFinder.find_spec("sitecustomize", rest)
    if spec is not None and spec.loader is not None:
        module = module_from_spec(spec)
        sys.modules["sitecustomize"] = module
        spec.loader.exec_module(module)


if "LABCOAT_GC_THRESHOLD" in os.environ:
    gc.set_threshold(int(os.environ["LABCOAT_GC_THRESHOLD"]))
if os.environ.pop("LABCOAT_GC_FREEZE", ""):
    freeze_before_fork()
chain()
