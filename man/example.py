#!/usr/bin/env python3
"""python3 man/example.py PRINT_SCHEMA: prints etcd-backupd.conf.example.

The keys of the configuration are explained once, in etcd-backupd.conf(5); the program knows which there are, in which order, and
what they are when left out (PRINT_SCHEMA, of the build directory's tests/unit/conf). The example is made of the two:

    python3 man/example.py build/tests/unit/conf/print_schema >etcd-backupd.conf.example
"""

import re
import subprocess
import sys
import textwrap
from pathlib import Path

PAGE = Path(__file__).resolve().parent / "etcd-backupd.conf.5"
WIDTH = 120

INTRODUCTION = """\
etcd-backupd.conf: what is backed up, when, and where to.

The format is YAML. Lines with ## explain; behind a single # stands each key at its default, or with a sample value where it has
none. Remove the # from the keys that you set and from the sections that they are in. `etcd-backupd --check-config -c FILE` looks
over the result, with all files that it names. This file is made from etcd-backupd.conf(5), which has a little more."""

# Of mdoc(7): what is quoted, what is only set in another face, and what closes.
QUOTED, PLAIN, CLOSING = {"Ql", "Cm"}, {"Ar", "Em", "Ev", "Nm", "No", "Pa"}, set(".,;:)")
MACROS = QUOTED | PLAIN | {"Ns", "Pq", "Xr"}


def words_of(tokens):
    """The words of a macro line as they are read: [Cm, cron, ","] becomes "`cron`,"."""
    out, tokens = "", list(tokens)
    glue = True
    while tokens:
        token = tokens.pop(0)
        if token in PLAIN:
            continue
        if token == "Ns":
            glue = True
            continue
        if token in CLOSING:
            out += token
            continue
        if token == "Pq":
            after = []
            while tokens and tokens[-1] in CLOSING:
                after.insert(0, tokens.pop())
            word, tokens = "(" + words_of(tokens) + ")" + "".join(after), []
        elif token in QUOTED:
            inside = []
            while tokens and tokens[0] not in MACROS | CLOSING:
                inside.append(tokens.pop(0))
            word = "`" + " ".join(inside) + "`"
        elif token == "Xr":
            word = f"{tokens.pop(0)}({tokens.pop(0)})"
        else:
            word = token
        out += word if glue else " " + word
        glue = False
    return out


def plain(line):
    return words_of(line[1:].split()) if line.startswith(".") else line


def entries():
    """Key to its text, as one paragraph."""
    page = PAGE.read_text()
    found = {}
    for entry in re.split(r"^\.It Cm ", page.split(".Sh FILES")[0], flags=re.M)[1:]:
        head, *lines = entry.split("\n")
        text = []
        for line in lines:
            if re.match(r"\.(El|Ss|Sh|Bl)\b", line):
                break
            if line:
                text.append(plain(line))
        found[head.split(" ")[0]] = " ".join(text)
    return found


def comment(text, indent=""):
    prefix = "##" + indent + " " * (not indent)
    return textwrap.wrap(text, WIDTH, initial_indent=prefix, subsequent_indent=prefix, break_long_words=False,
                         break_on_hyphens=False)


def main():
    rows = subprocess.run(sys.argv[1:], check=True, stdout=subprocess.PIPE).stdout.decode().splitlines()
    texts = entries()
    out = [("## " + line).rstrip() for line in INTRODUCTION.split("\n")]
    above = []
    for key, _kind, _default, sample in (row.split("\t") for row in rows):
        *sections, name = key.split(".")
        if not sections or sections[:1] != above[:1]:
            out.append("")
        for depth, section in enumerate(sections):
            if above[:depth + 1] != sections[:depth + 1]:
                out.append(f"#{'    ' * depth}{section}:")
        indent = "    " * len(sections)
        out += comment(texts[key], indent)
        out.append(f"#{indent}{name}: {sample}")
        above = sections
    print("\n".join(out))


if __name__ == "__main__":
    main()
