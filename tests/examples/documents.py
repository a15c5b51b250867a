"""documents.py - what the documents tell their readers to type is true.

usage: documents.py BUILD_DIR MESON...   (the words that run meson)

The library is installed into a folder of its own. Then, for the documents at the top and below docs/, and the examples
of the manual pages:
 - a block of C with a main is built as the README says, and has to end with 0; a block marked as text right after it is
   what it prints, where NNN stands for any number; a block of C without a main is compiled;
 - a block of Python is run with the package, where that is built, and judged in the same way;
 - a link leads to something that is there; where its text is the `name` of a test, that test is in the file;
 - a command in a block marked sh or console is run, or is one of those that other tests run: ELSEWHERE says which."""

import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
TIMEOUT = 60

# Commands of the documents that are not run here, and what runs them.
ELSEWHERE = {
    "make": "every continuous integration run: `make test` builds as `make` does",
    "make quick": "its tests are a part of `make test`",
    "make help": "it prints a text",
    "make test": "the continuous integration",
    "pip install .": "the test `wheel`",
    "make demo": "the test `demo`, on a small tree",
    "make bench": "its harness by the test `bench`",
    "make crash": "its programs by the suite `crash`",
    "make install": "the test `install`",
    "sudo make install": "the test `install`",
    "make install PREFIX=$HOME/.local": "the test `install`",
    "meson setup /tmp/shoal-asan -Db_sanitize=address,undefined": "`make test` sets such a build up",
    "meson test -C /tmp/shoal-asan --suite unit": "`make test` runs this suite in such a build",
    "/tmp/shoal-asan/tests/unit/unit-error --list": "the test `harness-self`",
}
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
LINK = re.compile(r"\[([^\]]*)\]\(([^)]*)\)")
DISPLAY = re.compile(r"^\.Bd -literal[^\n]*\n(.*?)^\.Ed$", re.M | re.S)


def blocks_of_markdown(path):
    return [(match[1], match[2], path.read_text()[:match.start()].count("\n") + 1)
            for match in FENCE.finditer(path.read_text(encoding="utf-8"))]


def blocks_of_page(path):
    """The displays in the EXAMPLES of a manual page, all of them C."""
    text = path.read_text(encoding="utf-8")
    start = text.index("\n.Sh EXAMPLES\n")
    end = text.find("\n.Sh ", start + 1)
    return [("c", match[1].replace(r"\e", "\\").replace(r"\&", ""), text[:start + match.start()].count("\n") + 1)
            for match in DISPLAY.finditer(text[start:end])]


def problems_of_links(path):
    text = path.read_text(encoding="utf-8")
    for match in LINK.finditer(FENCE.sub("", text)):
        target = path.parent / match[2].split("#")[0]
        named = re.fullmatch(r"`(\w+)`", match[1])
        if match[2].startswith("http"):
            continue
        if not target.exists():
            yield f"{path.relative_to(ROOT)}: links to {match[2]}, which is not there"
        elif named and target.suffix == ".c" and f"{named[1]})\n{{" not in target.read_text():
            yield f"{path.relative_to(ROOT)}: {match[2]} has no test {named[1]}"


class Installed:
    """The library as a user has it: headers, library and pkg-config file below a folder."""

    def __init__(self, root, build, meson):
        self.root, self.package = root, pathlib.Path(build, "python")
        subprocess.run([*meson, "install", "-C", build, "--no-rebuild", "--destdir", root, "--quiet"], check=True,
                       stdout=subprocess.DEVNULL)
        [library] = root.rglob("libshoal.so.0")
        folders = ":".join(str(path) for path in root.rglob("pkgconfig"))
        self.environment = dict(os.environ, LD_LIBRARY_PATH=str(library.parent), PKG_CONFIG_LIBDIR=folders,
                                PKG_CONFIG_SYSROOT_DIR=str(root), LC_ALL="C", PYTHONPATH=str(self.package.resolve()),
                                PYTHONDONTWRITEBYTECODE="1")

    def run(self, command, folder, **options):
        try:
            return subprocess.run(command, cwd=folder, env=self.environment, capture_output=True, text=True,
                                  timeout=TIMEOUT, stdin=subprocess.DEVNULL, **options)
        except subprocess.TimeoutExpired:
            return subprocess.CompletedProcess(command, -1, "", f"did not end in {TIMEOUT} seconds")


def problem_of_code(installed, code, expected):
    """What is wrong with a block of C; None where nothing is."""
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, "program.c").write_text(code)
        has_main = re.search(r"^int main\(", code, re.M)
        goal = "-o program program.c" if has_main else "-c -o program.o program.c"
        goal += f" -I {ROOT / 'tests' / 'harness'}" if '#include "harness.h"' in code else ""
        build = installed.run(f"cc -Wall -Wextra -Werror {goal} $(pkg-config --cflags --libs shoal)", folder,
                              shell=True)
        if build.returncode != 0:
            return f"does not compile:\n{build.stderr}"
        if not has_main:
            return "has no main, and yet says what it prints" if expected is not None else None
        return problem_of_result(installed.run(["./program"], folder), expected)


def problem_of_python(installed, code, expected):
    """The same of a block of Python."""
    if not list(pathlib.Path(installed.package, "shoal").glob("_core.*.so")):
        return None
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, "program.py").write_text(code)
        return problem_of_result(installed.run([sys.executable, "program.py"], folder), expected)


def problem_of_result(result, expected):
    if result.returncode != 0:
        return f"ends with {result.returncode}: {result.stderr}{result.stdout}"
    pattern = re.escape(expected).replace("NNN", r"\d+") if expected is not None else ".*"
    if not re.fullmatch(pattern, result.stdout, re.S):
        return f"prints\n{result.stdout}and not\n{expected}"
    return None


def commands_of(text):
    """The commands of a block: without prompts, comments and what they print."""
    lines = text.replace("\\\n", "").splitlines()
    if any(line.startswith("$ ") for line in lines):
        lines = [line[2:] for line in lines if line.startswith("$ ")]
    for line in lines:
        line = re.sub(r"\s+#.*$", "", line).strip()
        if line and not line.startswith("#"):
            yield line


def problem_of_command(installed, command, folder):
    if " ".join(shlex.split(command)) in ELSEWHERE or command in ELSEWHERE:
        return None
    result = installed.run(["sh", "-ec", command], folder)
    return f"`{command}` ends with {result.returncode}: {result.stderr}" if result.returncode != 0 else None


def problems_of(installed, path, blocks):
    """Each problem of a document. Its commands run in a folder where its programs lie under the names it gives them."""
    with tempfile.TemporaryDirectory() as folder:
        for index, (language, text, line) in enumerate(blocks):
            problem = None
            if language in ("c", "python"):
                after = blocks[index + 1] if index + 1 < len(blocks) else ("", "", 0)
                gap = after[2] - line - text.count("\n")
                expected = after[1] if after[0] == "text" and gap <= 4 else None
                judge = problem_of_code if language == "c" else problem_of_python
                problem = judge(installed, text, expected)
                named = re.match(r"/\* (\w+\.c) ", text)
                if named:
                    pathlib.Path(folder, named[1]).write_text(text)
            elif language in ("sh", "console"):
                found = [problem_of_command(installed, command, folder) for command in commands_of(text)]
                problem = "; ".join(filter(None, found)) or None
            elif language not in ("text",):
                problem = f"is marked {language or 'with nothing'}: c, python, sh, console or text"
            if problem:
                yield f"{path.relative_to(ROOT)}:{line}: {problem}"


def main(build, *meson):
    documents = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
    pages = sorted((ROOT / "docs" / "man").glob("*.[1-9]"))
    problems, looked_at = [], 0
    with tempfile.TemporaryDirectory() as folder:
        installed = Installed(pathlib.Path(folder), build, meson)
        for path in documents + pages:
            blocks = blocks_of_page(path) if path in pages else blocks_of_markdown(path)
            looked_at += len(blocks)
            problems += problems_of(installed, path, blocks)
    problems += [problem for path in documents for problem in problems_of_links(path)]
    for problem in problems:
        print(problem)
    print(f"{looked_at} blocks looked at, {len(problems)} wrong")
    sys.exit(1 if problems or not looked_at else 0)


main(*sys.argv[1:])
