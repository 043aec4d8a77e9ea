"""Makes a manual page of what a program says of itself: manpage.py PROGRAM > PROGRAM.1

The help of the program, and of each command that it lists, is taken as it is printed, so that the two cannot differ.
"""

import os
import re
import subprocess
import sys


def said(program, *arguments):
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=True).stdout


def escaped(text):
    """A line of text that roff prints as it is."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "\\&" + text if text.startswith((".", "'")) else text


def block(text):
    """Lines as they are."""
    yield ".nf"
    yield from map(escaped, text.rstrip().splitlines())
    yield ".fi"


def commands(text):
    """The commands of a help text, under `commands:`."""
    listed = re.search(r"^commands:\n((?:[ ].*\n|\n(?=[ ]))+)", text, re.MULTILINE)
    for line in listed[1].splitlines() if listed else []:
        if found := re.match(r"  ((?:[a-z][a-z-]* ?)+?)(?: <| \[|  |$)", line):
            yield found[1].strip()


def page(program):
    name = os.path.basename(program)
    version = said(program, "--version").splitlines()[0].split()[1]
    text = said(program, "--help")
    first = text.splitlines()[0].rstrip(".")
    yield f'.TH "{name.upper()}" 1 "" "Silo {version}" "Silo"'
    yield from (".SH NAME", f"{escaped(name)} \\- {escaped(first[0].lower() + first[1:])}", ".SH DESCRIPTION")
    yield from block(text)
    for command in commands(text):
        yield f".SH {escaped(name + ' ' + command).upper()}"
        yield from block(said(program, *command.split(), "--help"))


if __name__ == "__main__":
    print("\n".join(page(sys.argv[1])))
