"""word_count.py - word_count counts as the standard tools do, loses what it has to and no more; its check can fail.

usage: word_count.py PROGRAM CHECK"""

import gzip
import pathlib
import subprocess
import sys
import tempfile

TIMEOUT = 60
TEXTS = {
    "empty.txt": b"",
    "plain.txt": b"one two\nthree\n",
    "blanks.txt": b" \t\v\f\r\n  word  \n\n",
    "no-newline.txt": b"no newline at the end",
    "utf8.txt": "Größe \u2014 42\n".encode(),
    "control.txt": b"\x01\x02 \x7f\xff x\n",
    "name with blanks.txt": b"a b c\n",
    "long.txt": b"word " * 300000,
}
BINARY = {"picture.png": b"\x89PNG\r\n\x1a\n\0\0\0\r", "zeros": b"\0" * 100}
FATAL = {"segfault.txt": b"word_count: segfault\n", "exit.txt": b"word_count: exit\n"}


def make_tree(folder):
    (folder / "below").mkdir(parents=True)
    for name, data in {**TEXTS, **BINARY}.items():
        (folder / name).write_bytes(data)
        (folder / "below" / f"{name}.gz").write_bytes(gzip.compress(data))
    (folder / "twice.gz").write_bytes(gzip.compress(b"two ") + gzip.compress(b"members\n"))
    (folder / "link").symlink_to("plain.txt")
    (folder / "broken.gz").write_bytes(gzip.compress(TEXTS["long.txt"])[:-30])


def run(*command):
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=TIMEOUT)


def expected(folder):
    """{path: (bytes, lines, words)} of the texts, counted here."""
    counts = {}
    for name, data in TEXTS.items():
        words = len(data.replace(b"\v", b" ").split())
        for path in (folder / name, folder / "below" / f"{name}.gz"):
            counts[str(path)] = (len(data), data.count(b"\n"), words)
    counts[str(folder / "twice.gz")] = (12, 1, 2)
    return counts


def read_report(path):
    rows = (line.split("\t") for line in path.read_text().splitlines())
    return {row[3]: tuple(map(int, row[:3])) for row in rows}


def figures(text):
    return {line[:8].strip(): line[10:] for line in text.splitlines() if not line.startswith(("lost", "failed"))}


def count_right(program, scratch, tree, workers):
    """Every text is counted, and nothing else; what cannot be read is named."""
    report = scratch / f"report-{workers}"
    result = run(program, "-w", workers, "-r", report, tree)
    assert result.returncode == 2, result
    assert read_report(report) == expected(tree), report.read_text()
    figure = figures(result.stdout)
    assert figure["files"] == str(len(expected(tree))), result.stdout
    assert figure["no text"] == str(2 * len(BINARY)), result.stdout
    assert figure["unread"] == "1" and figure["victims"] == "0", result.stdout
    assert f"failed    {tree}/broken.gz: cannot be read: " in result.stdout, result.stdout
    assert "100 %" in result.stderr and "\r" not in result.stderr, result.stderr
    return report


def lose_no_more(program, scratch, tree):
    """A file that kills its worker is named with the reason, and costs nothing else."""
    for name, data in FATAL.items():
        (scratch / name).write_bytes(data)
    report = scratch / "report-fatal"
    result = run(program, "-w", 2, "-r", report, tree, *(scratch / name for name in FATAL))
    assert result.returncode == 2, result
    assert read_report(report) == expected(tree), report.read_text()
    lost = {line.split(": ")[0]: line for line in result.stdout.splitlines() if line.startswith("lost")}
    assert len(lost) == 2, result.stdout
    assert "signal 11" in lost[f"lost      {scratch}/segfault.txt"], lost
    assert "code 7" in lost[f"lost      {scratch}/exit.txt"], lost


def check_the_check(check, scratch, report):
    """The check agrees with the report, and with no other."""
    result = run(check, report)
    assert result.returncode == 0, result
    for column in range(3):
        lines = [line.split("\t") for line in report.read_text().splitlines()]
        lines[1][column] = str(int(lines[1][column]) + 1)
        wrong = scratch / "wrong"
        wrong.write_text("".join("\t".join(line) + "\n" for line in lines))
        result = run(check, wrong)
        assert result.returncode == 1 and lines[1][3] in result.stdout, result
    empty = scratch / "nothing"
    empty.write_text("")
    assert run(check, empty).returncode == 1


def main(program, check):
    with tempfile.TemporaryDirectory() as folder:
        scratch = pathlib.Path(folder)
        tree = scratch / "tree"
        make_tree(tree)
        report = count_right(program, scratch, tree, 1)
        assert report.read_bytes() == count_right(program, scratch, tree, 3).read_bytes()
        lose_no_more(program, scratch, tree)
        check_the_check(check, scratch, report)
    assert run(program).returncode == 1
    assert "nowhere" in run(program, "/nowhere").stderr


main(*sys.argv[1:])
