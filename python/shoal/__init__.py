"""multiprocessing that survives: processes, queues, locks and worker pools on shared memory.

`import shoal as multiprocessing` is all that a program needs; `python -m shoal program.py` does it for a program that
is left as it is.
"""
import sys

from . import context, process, reduction  # noqa: F401: all three are there without another import

__version__ = context.__version__
__all__ = [name for name in dir(context._default_context) if not name.startswith("_")]
globals().update((name, getattr(context._default_context, name)) for name in __all__)

SUBDEBUG = 5
SUBWARNING = 25

# As multiprocessing does: what a main program defines is found under this name in the children.
if "__main__" in sys.modules:
    sys.modules["__mp_main__"] = sys.modules["__main__"]
