"""JSON that siloctl reads, against Python's own reader: generated documents, and what is none."""

import json
import random
import struct

import msgpack
import pytest

from support.ports import fixed_address
from support.programs import run
from support.siloctl import as_json, runner

NUMBERS = [0, -1, 2**31, 2**53 + 1, 2**63 - 1, -(2**63), 2**63, 2**64 - 1, 0.1, -0.0,
           1e-310, 5e-324, 1.7976931348623157e308, 1e22, 123456789.123456789]
LETTERS = ["a", '"', "\\", "/", "\b", "\x1f", "\x7f", "\u00e9", "e\u0301", "\u2028",
           "\ud7ff", "\ue000", "\uffff", "\U00010000", "\U0010ffff", "日"]


@pytest.fixture(scope="module")
def ctl(server):
    return runner(server.address)


def text(random):
    return "".join(random.choice(LETTERS) for _ in range(random.randrange(6)))


def value(random, depth=0):
    kind = random.randrange(8 if depth < 6 else 5)
    if kind == 0:
        return random.choice([None, True, False])
    if kind == 1:
        return random.choice(NUMBERS)
    if kind == 2:
        number = struct.unpack("<d", random.randbytes(8))[0]
        return number if abs(number) < float("inf") else 0.5
    if kind < 5:
        return text(random)
    if kind < 7:
        return [value(random, depth + 1) for _ in range(random.randrange(5))]
    return {text(random): value(random, depth + 1) for _ in range(random.randrange(5))}


def written(random, value):
    """One of the ways to write a value: with or without escapes, with white space, with names that come twice."""
    space = random.choice(["", "", " ", "\n\t\r "])
    if isinstance(value, str):
        return '"' + "".join(letter(random, c) for c in value) + '"'
    if isinstance(value, list):
        return "[" + ",".join(space + written(random, item) + space for item in value) + space + "]"
    if isinstance(value, dict):
        members = [written(random, name) + space + ":" + space + written(random, item) for name, item in value.items()]
        if value and random.random() < 0.3:
            members.insert(0, written(random, random.choice(list(value))) + ":" + "1")
        return "{" + ",".join(space + member + space for member in members) + space + "}"
    plain = json.dumps(value)
    return plain.replace("e", random.choice("eE")) if isinstance(value, float) else plain


def letter(random, c):
    escapes = json.dumps(c)[1:-1]
    units = [f"{unit:04x}" for unit in struct.unpack(f"<{len(c.encode('utf-16-le')) // 2}H", c.encode("utf-16-le"))]
    long = "".join("\\u" + (unit if random.random() < 0.5 else unit.upper()) for unit in units)
    must = c in '"\\' or ord(c) < 0x20
    return random.choice([escapes, long, "\\/" if c == "/" else long] + ([] if must else [c] * 3))


def same(one, other):
    """Equal with types, and to the bit."""
    if type(one) is not type(other):
        return False
    if isinstance(one, float):
        return struct.pack("<d", one) == struct.pack("<d", other)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    return one == other


def refused(document):
    """Whether siloctl takes it for no document, without asking any server."""
    ended = run("siloctl", "-a", fixed_address(), "enqueue", "g", "-", stdin=document)
    assert ended.returncode in (1, 2) and ("not a JSON document" in ended.stderr) == (ended.returncode == 2), ended.stderr
    return ended.returncode == 2


class TestReading:
    @pytest.mark.parametrize("seed", range(4))
    def test_what_python_reads_is_stored(self, ctl, client, seed):
        chance = random.Random(seed)
        document = "[" + ",".join(written(chance, value(chance)) for _ in range(1500)) + "]"
        id = as_json(ctl("enqueue", "g", "-", "--json", stdin=document))["id"]
        stored = msgpack.unpackb(client.job(id).payload.msgpack, strict_map_key=False)
        expected = json.loads(document)
        for index, (one, other) in enumerate(zip(stored, expected, strict=True)):
            assert same(one, other), f"item {index}: {one!r}, not {other!r}"

    def test_what_python_refuses_is_refused(self):
        """Documents with one letter changed, taken out or put in."""
        chance = random.Random(7)

        def fail(_):
            raise ValueError

        outcomes = set()
        for _ in range(300):
            document = written(chance, value(chance))
            at = chance.randrange(len(document) + 1)
            document = document[:at] + chance.choice(["", *'{}[]",:\\0-+.eEnu \t\n\x01']) + document[at + chance.randrange(2):]
            try:
                parsed = json.loads(document, parse_constant=fail)
                # UTF-8 has no form for half a pair, and 64 bits none for larger numbers: these are refused on purpose.
                json.dumps(parsed, ensure_ascii=False).encode()
                msgpack.packb(parsed)
                is_good = "Infinity" not in json.dumps(parsed)
            except (ValueError, OverflowError):
                is_good = False
            outcomes.add(is_good)
            assert refused(document) != is_good, document
        assert outcomes == {True, False}

    @pytest.mark.parametrize("levels, is_bad", [(32, False), (33, True), (200_000, True)])
    def test_depth_has_a_bound(self, levels, is_bad):
        assert refused("[" * levels + "]" * levels) == is_bad
        assert refused('{"a":' * (levels - 1) + "1" + "}" * (levels - 1)) == is_bad

    def test_a_byte_order_mark_is_no_part_of_it(self, ctl, client):
        id = as_json(ctl("enqueue", "g", "-", "--json", stdin="\ufeff[1]"))["id"]
        assert msgpack.unpackb(client.job(id).payload.msgpack) == [1]


class TestNamesThatUnicodeHoldsEqual:
    BOTH = {"\u00e9": 1, "e\u0301": 2}

    def test_in_a_payload_and_back(self, ctl, client):
        id = as_json(ctl("enqueue", "twice", json.dumps(self.BOTH, ensure_ascii=False), "--json"))["id"]
        assert msgpack.unpackb(client.job(id).payload.msgpack) == self.BOTH
        client.succeed(client.take("twice"), self.BOTH)
        assert json.loads(ctl("job", "result", client.shard, id, "-f", "msgpack").splitlines()[-1]) == self.BOTH

    def test_in_an_import_file(self, ctl, client):
        names = {"\u00e9": "a", "e\u0301": "b"}
        job = {"id": "twice-imported", "task_group": "g", "payload": {"x": self.BOTH}, "metadata": names}
        ctl("job", "import", "-", stdin=json.dumps([job], ensure_ascii=False))
        stored = client.job("twice-imported")
        assert msgpack.unpackb(stored.payload.msgpack) == job["payload"] and dict(stored.metadata) == job["metadata"]
