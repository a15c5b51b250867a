"""The programs in the documents run, and print what stands below them."""

import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = re.compile(r"^```python\n(.*?)^```\n(?:\s*^```text\n(.*?)^```)?", re.M | re.S)


def programs():
    for path in sorted([ROOT / "README.md", *ROOT.glob("docs/guide/*.md")]):
        for number, (program, expected) in enumerate(PROGRAM.findall(path.read_text(encoding="utf-8")), 1):
            if "import " in program:
                yield pytest.param(program, expected, id="%s-%d" % (path.stem, number))


@pytest.mark.parametrize("program, expected", list(programs()))
def test_program_of_a_document(run, tmp_path, program, expected):
    file = tmp_path / "program.py"
    file.write_text(program)
    out, _ = run([file])
    assert not expected or re.fullmatch(re.escape(expected).replace("NNN", r"\d+"), out)
