"""The package has what multiprocessing has, under the same names."""

import importlib
import importlib.util
import inspect
import multiprocessing
import pkgutil

import pytest
import shoal

NOT_HERE = {"popen_spawn_win32", "dummy.connection"}


def test_exports_all_that_multiprocessing_exports():
    assert sorted(shoal.__all__) == sorted(multiprocessing.__all__)
    for name in shoal.__all__:
        assert getattr(shoal, name) is not None


@pytest.mark.parametrize("name", sorted({module.name for module in pkgutil.iter_modules(multiprocessing.__path__)}
                                        - NOT_HERE))
def test_submodule_has_the_names_of_its_counterpart(name):
    ours = importlib.import_module("shoal." + name)
    theirs = importlib.import_module("multiprocessing." + name)
    missing = [public for public in getattr(theirs, "__all__", ()) if not hasattr(ours, public)]
    assert not missing


@pytest.mark.parametrize("name", [name for name in multiprocessing.__all__
                                  if inspect.ismethod(getattr(multiprocessing, name))])
def test_functions_take_the_same_arguments(name):
    """What shoal adds comes after them, is by keyword alone, and may be left out."""
    ours, theirs = ([(p.name, p.default, p.kind) for p in inspect.signature(getattr(package, name)).parameters.values()]
                    for package in (shoal, multiprocessing))
    assert ours[:len(theirs)] == theirs
    for _, default, kind in ours[len(theirs):]:
        assert kind is inspect.Parameter.KEYWORD_ONLY and default is not inspect.Parameter.empty


def test_contexts_and_processes_are_kinds_of_the_standard_ones():
    for method in multiprocessing.get_all_start_methods():
        ours, theirs = shoal.get_context(method), multiprocessing.get_context(method)
        assert isinstance(ours, type(theirs)) and issubclass(ours.Process, theirs.Process)
        assert ours.Process is not theirs.Process


def test_start_method_is_one_for_both_packages(run):
    program = "import shoal, multiprocessing\n" \
              "shoal.set_start_method('spawn')\n" \
              "print(multiprocessing.get_start_method(), shoal.get_start_method())\n" \
              "multiprocessing.set_start_method('forkserver', force=True)\n" \
              "print(shoal.get_context()._name)"
    assert run(program)[0].split() == ["spawn", "spawn", "forkserver"]


def test_submodules_that_are_there_without_an_import(run):
    program = "import sys, types; import %s as package\n" \
              "print(*[name for name, value in vars(package).items() if isinstance(value, types.ModuleType)])"
    theirs, ours = (set(run(program % name)[0].split()) for name in ("multiprocessing", "shoal"))
    assert theirs <= ours


def public_things():
    """What users meet: the package's functions, the classes of its modules, and their methods."""
    for name in ("", "queues", "synchronize", "connection", "pool", "managers", "sharedctypes", "context", "futures"):
        if name and not importlib.util.find_spec("shoal." + name):
            continue
        module = importlib.import_module("shoal." + name if name else "shoal")
        for public in getattr(module, "__all__", None) or [other for other in vars(module) if other[0] != "_"]:
            thing = getattr(module, public)
            if not callable(thing) or not thing.__module__.startswith("shoal"):
                continue
            yield "%s.%s" % (module.__name__, public), thing.__doc__
            for method in dir(thing) if inspect.isclass(thing) else ():
                owner = next(one for one in thing.__mro__ if method in vars(one))
                value = vars(owner)[method]
                if method[0] != "_" and owner.__module__.startswith("shoal") and not inspect.isclass(value):
                    yield "%s.%s.%s" % (module.__name__, public, method), inspect.getdoc(getattr(thing, method))


def test_all_that_is_public_is_described():
    described = dict(public_things())
    assert len(described) > 150
    assert [name for name, text in described.items() if not text] == []


def test_methods_in_c_have_signatures_as_methods_have():
    queue = shoal.Queue()
    assert str(inspect.signature(queue.put)) == "(obj, block=True, timeout=None)"
    assert str(inspect.signature(shoal.Lock().acquire)) == "(block=True, timeout=None)"


def test_unknown_start_method_is_refused():
    with pytest.raises(ValueError, match="cannot find context"):
        shoal.get_context("teleport")
