"""Runs `siloctl` as a person or a program would."""

import json
import re

from .programs import run


def runner(address, *options, extra=None):
    def ctl(*arguments, code=0, stdin=None, **other):
        ended = run("siloctl", "--address", f"http://{address}", *options, *arguments, stdin=stdin, extra=extra, **other)
        assert ended.returncode == code, f"exit code {ended.returncode}: {ended.stdout}{ended.stderr}"
        if code:
            assert ended.stdout == "", "a failure prints nothing on standard output"
            return ended.stderr
        assert ended.stderr == ""
        return ended.stdout

    return ctl


def as_json(text):
    """The JSON document, which must be sorted by key."""
    document = json.loads(text)
    assert list(document) == sorted(document)
    return document


def pretty(text):
    """The same, indented by two spaces."""
    document = as_json(text)
    assert re.search(r'^  "', text, re.MULTILINE)
    return document
