"""pages.py - each public function has one manual page, with the prototype that its header has, and the page's sections.

usage: pages.py"""

import re

from common import ROOT, files, finish, name

SECTIONS = ["NAME", "SYNOPSIS", "DESCRIPTION", "RETURN VALUES", "CRASH SAFETY", "FORK AND THREADS", "EXAMPLES",
            "ERRORS", "SEE ALSO"]
# Sections that one page does not need: it describes no functions.
NOT_NEEDED = {"shoal.7": {"RETURN VALUES", "ERRORS"}}
DECLARATION = re.compile(r"SHOAL_API\s+([^;{}()]*?)(\bshoal_\w+)\s*\(((?:[^()]|\([^()]*\))*)\)"
                         r"\s*(?:__attribute__[^;]*)?;")
# A function that a page only speaks of in general.
GENERAL = re.compile(r"_NOUN_")


def tidy(text):
    """A prototype with one blank between words and none elsewhere."""
    return re.sub(r"\s*([(),*])\s*", r"\1", " ".join(text.split()))


def declared():
    """{function: prototype} of the public headers."""
    prototypes = {}
    for header in files("*.h", under=["include"]):
        text = re.sub(r"/\*.*?\*/|^#(?:[^\n]*\\\n)*[^\n]*$", "", header.read_text(encoding="utf-8"), flags=re.S | re.M)
        for result, function, arguments in DECLARATION.findall(text):
            prototypes[function] = tidy(f"{result} {function}({arguments})")
    return prototypes


def described(text):
    """(function, prototype) for each function in a page's synopsis."""
    synopsis = text.split("\n.Sh SYNOPSIS\n")[1].split("\n.Sh ")[0]
    result, function, arguments = None, None, []
    for line in synopsis.splitlines():
        words = re.findall(r'"([^"]*)"|(\S+)', line)
        words = [quoted or plain for quoted, plain in words]
        if words[0] == ".Ft":
            result = " ".join(words[1:])
        elif words[0] == ".Fo":
            function, arguments = words[1], []
        elif words[0] == ".Fa":
            arguments.append(" ".join(words[1:]))
        elif words[0] == ".Fc":
            yield function, tidy(f"{result} {function}({','.join(arguments)})")


def problems_of(page, prototypes, seen):
    text = page.read_text(encoding="utf-8")
    sections = re.findall(r"^\.Sh (.*)$", text, re.M)
    needed = [section for section in SECTIONS if section not in NOT_NEEDED.get(page.name, ())]
    for section in needed:
        if section not in sections:
            yield f": has no section {section}"
    order = [section for section in sections if section in needed]
    if order != sorted(order, key=needed.index):
        yield f": its sections are not in the order {', '.join(needed)}"
    names = set(re.findall(r"^\.Nm (\w+)", text.split(".Sh NAME\n")[1].split(".Nd ")[0], re.M))
    for function, prototype in described(text):
        if function not in prototypes:
            yield f": no header declares {function}"
        elif prototype != prototypes[function]:
            yield f": {prototype} is {prototypes[function]} in its header"
        if function not in names:
            yield f": {function} is not in the section NAME"
        if function in seen:
            yield f": {function} is described in {seen[function]} too"
        seen[function] = name(page)
    for function in set(re.findall(r"\bshoal_\w+(?= 3\b)|(?<=\.Fn )shoal_\w+", text)):
        page_of_it = (ROOT / "docs" / "man" / f"{function}.3").exists()
        if not GENERAL.search(function) and function not in prototypes and not page_of_it and \
                not re.search(rf'^\.Ft typedef [^\n]*\n\.Fn {function}\b', text, re.M):
            yield f": speaks of {function}, which does not exist"


def main():
    prototypes, seen = declared(), {}
    pages = sorted((ROOT / "docs" / "man").glob("*.[1-9]"))
    problems = [f"{name(page)}{problem}" for page in pages for problem in problems_of(page, prototypes, seen)]
    problems += [f"has no manual page: {function}" for function in sorted(prototypes.keys() - seen.keys())]
    finish(problems, len(prototypes))


main()
