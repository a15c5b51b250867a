"""python -m shoal program.py [arguments]: run a program, whose `import multiprocessing` gives shoal.

python -m shoal -m module [arguments] does the same for a module.
"""
import importlib.machinery
import io
import os
import runpy
import sys

from . import _redirect

USAGE = "usage: python -m shoal [-h] (program.py | -m module) [arguments]"


def run_path(path):
    """Run a file as __main__: as the module that sys.modules has under that name, so that children find it."""
    sys.path[0] = os.path.dirname(os.path.abspath(path))
    with io.open_code(path) as file:
        code = compile(file.read(), path, "exec")
    names = sys.modules["__main__"].__dict__
    own = dict(__name__="__main__", __file__=path, __spec__=None, __package__=None, __cached__=None, __doc__=None,
               __loader__=importlib.machinery.SourceFileLoader("__main__", path), __builtins__=names["__builtins__"])
    names.clear()  # this module's: what runs here has all it needs
    names.update(own)
    exec(code, names)


def main():
    arguments = sys.argv[1:]
    if not arguments or arguments[0] in ("-h", "--help"):
        print(USAGE if not arguments else __doc__ + "\n" + USAGE)
        sys.exit(0 if arguments else 2)
    _redirect.install()
    if arguments[0] == "-m":
        if len(arguments) < 2:
            sys.exit(USAGE)
        sys.argv = arguments[1:]
        sys.path[0] = os.getcwd()
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
        return
    sys.argv = arguments
    if os.path.isdir(arguments[0]) or arguments[0].endswith((".zip", ".pyz")):
        runpy.run_path(arguments[0], run_name="__main__")
        return
    run_path(arguments[0])


if __name__ == "__main__":
    main()
