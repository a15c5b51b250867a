"""The Python interpreters of this machine, and builds of the package for them in build/python-3.N."""
import glob
import os
import pathlib
import shutil
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[1]
VERSIONS = ["3.9", "3.10", "3.11", "3.12", "3.13"]
ASK = "import sys, sysconfig; print('%d.%d' % sys.version_info[:2], sysconfig.get_path('include'))"


def find(versions=VERSIONS, needs="sys"):
    """{version: interpreter}, of pyenv's and those of the PATH: with headers, and with the modules it needs."""
    pyenv = pathlib.Path(os.environ.get("PYENV_ROOT") or pathlib.Path.home() / ".pyenv")
    found = {}
    for version in versions:
        candidates = sorted(glob.glob(str(pyenv / "versions" / f"{version}.*" / "bin" / "python")), reverse=True)
        on_path = shutil.which(f"python{version}")
        for python in candidates + ([on_path] if on_path else []):
            answer = subprocess.run([python, "-c", f"import {needs}; {ASK}"], capture_output=True, text=True)
            words = answer.stdout.split()
            if answer.returncode == 0 and words[0] == version and (pathlib.Path(words[1]) / "Python.h").exists():
                found[version] = python
                break
    return found


def build(version, python):
    """Build the package for an interpreter; returns the folder to import it from, None where it does not build."""
    folder = ROOT / "build" / f"python-{version}"
    if not (folder / "build.ninja").exists():
        folder.mkdir(parents=True, exist_ok=True)
        native = folder / "native.ini"
        native.write_text(f"[binaries]\npython = '{python}'\n")
        options = ["--native-file", native, "-Dpython=enabled", "-Dtests=false"]
        if subprocess.run(["meson", "setup", folder, *options], cwd=ROOT, stdout=subprocess.DEVNULL).returncode:
            return None
    made = subprocess.run(["ninja", "-C", folder, "--quiet", "python-package"], stdout=subprocess.DEVNULL)
    return None if made.returncode else folder / "python"
