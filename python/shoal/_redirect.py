"""`import multiprocessing` gives shoal: for the modules of a program, in its main process and in its children.

Who imports decides. The standard library, shoal, and what is installed beside them (site-packages) keep the standard
library's multiprocessing, of which some packages use the inside; all else, which is the program, gets shoal.
"""
import builtins
import importlib
import importlib.util
import os
import sys
import sysconfig

_NAME = "multiprocessing"
_real_import = builtins.__import__
_real_import_module = importlib.import_module
_installed = False
_folders = tuple(os.path.join(os.path.abspath(folder), "") for folder in
                 {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")} |
                 {os.path.dirname(os.path.abspath(__file__))})


def _is_program(importer):
    """Whether the module with these globals is the program's."""
    name = importer.get("__name__")
    if name in ("__main__", "__mp_main__"):
        return True
    path = importer.get("__file__")
    if not isinstance(name, str) or not isinstance(path, str):
        return isinstance(name, str) and importer.get("__spec__") is None  # made at run time, by the program
    if "site-packages" in path or "dist-packages" in path:
        return False
    return not os.path.abspath(path).startswith(_folders)


def _counterpart(name):
    """The name of the module of shoal's that stands for this one; the name itself where there is none."""
    other = "shoal" + name[len(_NAME):]
    return other if importlib.util.find_spec(other) else name


def _is_wanted(name):
    return name == _NAME or name.startswith(_NAME + ".")


def _import(name, globals=None, locals=None, fromlist=(), level=0):
    if level == 0 and _is_wanted(name):
        importer = sys._getframe(1).f_globals if globals is None else globals
        if _is_program(importer):
            name = _counterpart(name)
    return _real_import(name, globals, locals, fromlist, level)


def _import_module(name, package=None):
    if _is_wanted(name) and _is_program(sys._getframe(1).f_globals):
        name = _counterpart(name)
    return _real_import_module(name, package)


def install():
    """From now on, in this process and those it starts."""
    global _installed
    if not _installed:
        _installed = True
        builtins.__import__ = _import
        importlib.import_module = _import_module


def is_installed():
    return _installed
