"""wheel.py - `pip install .` gives a package that needs nothing else: no library beside it, no other package.

usage: wheel.py    (by the interpreter that it is to be installed for)"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import venv

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = """
import os, pathlib, shoal, shoal.futures

def work(queue, lock):
    with lock:
        queue.put(os.getpid())

if __name__ == "__main__":
    for method in shoal.get_all_start_methods():
        context = shoal.get_context(method)
        queue = context.Queue()
        process = context.Process(target=work, args=(queue, context.Lock()))
        process.start()
        assert queue.get(timeout=30) == process.pid
        process.join()
    with shoal.Pool(2) as pool:
        assert pool.map(abs, range(-3, 0)) == [3, 2, 1]
    with shoal.futures.ProcessPoolExecutor(2) as executor:
        assert executor.submit(abs, -1).result(30) == 1
    maps = pathlib.Path("/proc/self/maps").read_text()
    assert "_core" in maps and "libshoal" not in maps, "the library is not linked in"
    print(pathlib.Path(shoal.__file__).parent)
"""


def run(*words, **options):
    return subprocess.run([str(word) for word in words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=280, **options)


def main():
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    with tempfile.TemporaryDirectory() as folder:
        python = pathlib.Path(folder, "venv", "bin", "python")
        venv.create(python.parents[1], with_pip=True)
        pip = [python, "-m", "pip", "--disable-pip-version-check"]
        build = run(*pip, "download", "--quiet", "--no-deps", "--dest", folder, "meson-python", env=environment)
        if build.returncode:
            print("no network: pip cannot fetch what builds the package")
            return 77
        source = pathlib.Path(folder, "source")  # the build leaves things beside what it builds
        shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns("build", ".*", "__pycache__"))
        installed = run(*pip, "install", "--quiet", source, env=environment)
        if installed.returncode:
            print(installed.stdout)
            return 1
        program = pathlib.Path(folder, "program.py")
        program.write_text(PROGRAM)
        result = run(python, program, cwd=folder, env=environment)
        print(result.stdout)
        if result.returncode:
            return 1
        package = pathlib.Path(result.stdout.strip())
        files = {path.name for path in package.iterdir()}
        expected = {path.name for pattern in ("*.py", "*.pyi", "py.typed")
                    for path in (ROOT / "python" / "shoal").glob(pattern)}
        print(f"{len(files)} files, missing: {sorted(expected - files)}")
        return 1 if expected - files or not package.is_relative_to(folder) else 0


sys.exit(main())
