"""Whole programs: the examples as they are, and with `import multiprocessing` under python -m shoal."""

import pathlib
import re

import pytest
from conftest import EXAMPLES

EXPECTED = {
    "two_processes.py": r"(this is test...[12]\n){2}run time is [345]\.\d+\n",
    "results_by_queue.py": r"(1 2|2 1)\nrun time is [345]\.\d+\n",
    "pool_map.py": r"\[0, 1, 4, 9, 16, 25, 36, 49, 64, 81\]\n",
    "pool_apply_async.py": r"4\n",
    "pool_many_results.py": r"\[0, 1, 2, 3, 4, 5, 6, 7, 8, 9\]\n",
    "pool_of_three.py": r"(?s)(?=.*----start----)(?=.*-----end-----\n$)(.*执行完毕){10}.*",
    "pool_and_queue.py": r"(?s)\(\d+\) start\nwriter启动.*reader启动.*消息:h\n.*消息:d\n\(\d+\) End\n",
}


def test_every_example_is_run():
    assert sorted(EXPECTED) == sorted(path.name for path in EXAMPLES.glob("*.py"))


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_example(name, run):
    out, err = run([str(EXAMPLES / name)])
    assert re.fullmatch(EXPECTED[name], out), out
    assert err == ""


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_example_left_as_it_is_under_python_m(name, run, tmp_path):
    text = (EXAMPLES / name).read_text(encoding="utf-8")
    text = text.replace("import shoal as multiprocessing", "import multiprocessing")
    text = text.replace("from shoal import", "from multiprocessing import")
    assert not re.search(r"import shoal|from shoal", text)
    program = tmp_path / name
    program.write_text(text, encoding="utf-8")
    out, err = run(["-m", "shoal", str(program)])
    assert re.fullmatch(EXPECTED[name], out), out
    assert err == ""


PROGRAM = """
import helper
import multiprocessing
import multiprocessing.queues
import sys
from multiprocessing import queues


def child(q):
    import multiprocessing
    q.put((multiprocessing.__name__, multiprocessing.get_start_method(), helper.name(), __name__))


if __name__ == "__main__":
    multiprocessing.set_start_method(sys.argv[1])
    q = multiprocessing.Queue()
    p = multiprocessing.Process(target=child, args=(q,))
    p.start()
    print(*q.get(timeout=30), queues.__name__, type(q).__module__, *sys.argv[1:])
    p.join()
"""
HELPER = """
def name():
    import multiprocessing.pool
    return multiprocessing.__name__
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_program_and_its_children_get_shoal(method, run, tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)
    (tmp_path / "helper.py").write_text(HELPER)
    main = "__main__" if method == "fork" else "__mp_main__"
    out, err = run(["-m", "shoal", str(tmp_path / "program.py"), method, "--flag"])
    assert out.split() == ["shoal", method, "shoal", main, "shoal.queues", "shoal.queues", method, "--flag"], err
    assert err == ""


def test_standard_library_keeps_its_own(run, tmp_path):
    program = tmp_path / "program.py"
    program.write_text("import concurrent.futures.process as p, logging\nprint(p.mp.__name__)\n")
    assert run(["-m", "shoal", str(program)])[0] == "multiprocessing\n"


def test_program_that_fails_says_so(run, tmp_path):
    program = tmp_path / "program.py"
    program.write_text("raise SystemExit(3)")
    run(["-m", "shoal", str(program)], code=3)
    _, err = run(["-m", "shoal"], code=2)
    assert pathlib.Path(program).exists() and err == ""


QUEUE_AT_TOP_OF_MAIN = """
import shoal
q = shoal.Queue()

def child(inner):
    q.put(1)
    inner.put((q.get(), "both"))

if __name__ == "__main__":
    inner = shoal.Queue()
    p = shoal.get_context({method!r}).Process(target=child, args=(inner,))
    p.start()
    print(inner.get(timeout=30))
    p.join()
"""


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_child_may_make_queues_while_it_imports_the_main_module(method, run, tmp_path):
    program = tmp_path / "program.py"
    program.write_text(QUEUE_AT_TOP_OF_MAIN.format(method=method))
    assert run([str(program)])[0] == "(1, 'both')\n"


PRELOADED = """
import shoal
q = shoal.Queue()

def child(inner):
    q.put(1)
    inner.put((q.get(), "preloaded"))

if __name__ == "__main__":
    import program
    context = shoal.get_context("forkserver")
    context.set_forkserver_preload(["program"])
    inner = context.Queue()
    p = context.Process(target=program.child, args=(inner,))
    p.start()
    print(inner.get(timeout=30))
    p.join()
"""


def test_fork_server_may_make_queues_while_it_preloads(run, tmp_path, monkeypatch):
    (tmp_path / "program.py").write_text(PRELOADED)
    assert run([str(tmp_path / "program.py")])[0] == "(1, 'preloaded')\n"
