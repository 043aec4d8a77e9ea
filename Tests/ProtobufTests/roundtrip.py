"""Python's protobuf as the second opinion on the messages of one schema.

    roundtrip.py messages <schema>                       prints the name of every message, one a line
    roundtrip.py descriptor <schema> <file>              compares the FileDescriptorProto in the file with the schema
    roundtrip.py cases <schema> <seed> <count> <cases>   writes random messages, whole ones and damaged ones
    roundtrip.py judge <schema> <cases> <answers>        compares what another implementation made of them

A schema is a path below proto/. A case is a record: four bytes of length and the message's name, with a leading `!` when
the message is damaged; four bytes of length and its encoding. An answer is `ok` and an encoding, or `error` and nothing.
"""
import pathlib
import random
import struct
import sys
import tempfile

from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory
from google.protobuf.descriptor import FieldDescriptor as Field
from google.protobuf.unknown_fields import UnknownFieldSet
from grpc_tools import protoc

PROTO = pathlib.Path(__file__).parents[2] / "proto"
INTEGERS = [0, 1, -1, 63, 64, 127, 128, 16383, 16384, 2**31 - 1, -2**31, 2**32 - 1, 2**63 - 1, -2**63, 2**64 - 1]
# Among it the same in several forms, which must not be taken for each other.
TEXTS = ["", "a", "default", "0b9d3c1e-5f4b-4e57-9a40-2f3fbc1d2a77", "日本", "Z\u00fcrich", "Zu\u0308rich", "\u00c5", "A\u030a", "\u212b",
         "\0", "🎉" * 40, "x" * 300, "\uffff", "~"]
# None begins with another: Python sorts such keys longest first, we do not, and the wire format does not say.
KEYS = TEXTS[1:]


def load(schema):
    with tempfile.TemporaryDirectory() as folder:
        target = folder + "/set"
        if protoc.main(["protoc", f"-I{PROTO}", f"--descriptor_set_out={target}", "--include_imports", schema]) != 0:
            sys.exit("protoc failed")
        return descriptor_pb2.FileDescriptorSet.FromString(pathlib.Path(target).read_bytes())


def classes(schema):
    pool = descriptor_pool.DescriptorPool()
    for file in load(schema).file:
        pool.Add(file)
    found = {}

    def collect(descriptor):
        found[descriptor.full_name] = message_factory.GetMessageClass(descriptor)
        for nested in descriptor.nested_types:
            if not nested.GetOptions().map_entry:
                collect(nested)
    for descriptor in pool.FindFileByName(schema).message_types_by_name.values():
        collect(descriptor)
    return found


def scalar(field, chance):
    if field.type == Field.TYPE_BOOL:
        return chance.random() < 0.5
    if field.type in (Field.TYPE_DOUBLE, Field.TYPE_FLOAT):
        return chance.choice([0.0, -0.0, 1.5, -2.0, float("inf"), float("nan")])
    if field.type == Field.TYPE_STRING:
        return chance.choice(TEXTS)
    if field.type == Field.TYPE_BYTES:
        return chance.randbytes(chance.choice([0, 1, 5, 130]))
    if field.type == Field.TYPE_ENUM:
        return chance.choice([0, 1, 2, 77, -1, 2**31 - 1])
    low, high = {Field.TYPE_INT32: (-2**31, 2**31 - 1), Field.TYPE_UINT32: (0, 2**32 - 1),
                 Field.TYPE_INT64: (-2**63, 2**63 - 1), Field.TYPE_UINT64: (0, 2**64 - 1)}[field.type]
    return chance.choice([n for n in INTEGERS if low <= n <= high])


def fill(target, chance):
    for field in target.DESCRIPTOR.fields:
        if chance.random() < 0.4:
            continue
        place = field.name
        if is_map(field):
            for _ in range(chance.randrange(4)):
                getattr(target, place)[chance.choice(KEYS)] = chance.choice(TEXTS)
        elif field.is_repeated:
            for _ in range(chance.randrange(3)):
                if field.message_type:
                    fill(getattr(target, place).add(), chance)
                else:
                    getattr(target, place).append(scalar(field, chance))
        elif field.message_type:
            getattr(target, place).SetInParent()
            fill(getattr(target, place), chance)
        else:
            setattr(target, place, scalar(field, chance))


def damage(data, others, chance):
    data = bytearray(data)
    at = chance.randrange(len(data) + 1)
    way = chance.randrange(6)
    if way == 0 and data:
        data[at % len(data)] ^= 1 << chance.randrange(8)
    elif way == 1:
        del data[at:]
    elif way == 2:
        del data[at:at + chance.randrange(1, 4)]
    elif way == 3:
        data[at:at] = chance.randbytes(chance.randrange(1, 6))
    elif way == 4:  # the fields of two messages, of which some are known to neither: they merge
        data += chance.choice(others)
    else:
        data[at:at] = chance.choice([b"\xff" * 4, b"\x80\x80\x80\x80\x01", b"\x0b\x0c", b"\xa3\x06\xa4\x06", b"\x7f"])
    return bytes(data)


def write(file, name, data):
    name = name.encode()
    file.write(struct.pack("<I", len(name)) + name + struct.pack("<I", len(data)) + data)


def read(path):
    data, at = pathlib.Path(path).read_bytes(), 0
    while at < len(data):
        parts = []
        for _ in range(2):
            size = struct.unpack_from("<I", data, at)[0]
            parts.append(data[at + 4:at + 4 + size])
            at += 4 + size
        yield parts[0].decode(), parts[1]


def cases(schema, seed, count, path):
    chance = random.Random(int(seed))
    types = classes(schema)
    seen = []
    with open(path, "wb") as file:
        for _ in range(int(count)):
            name = chance.choice(list(types))
            value = types[name]()
            fill(value, chance)
            data = value.SerializeToString(deterministic=True)
            seen.append(data)
            write(file, name, data)
            write(file, "!" + name, damage(data, seen, chance))


def is_map(field):
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def holds_strange_entry(value):
    """A map's entry that has fields of its own besides key and value: Python alone keeps it out of the map, as unknown."""
    maps = {field.number for field in value.DESCRIPTOR.fields if is_map(field)}
    if any(unknown.field_number in maps and unknown.wire_type == 2 for unknown in UnknownFieldSet(value)):
        return True
    inner = []
    for field, content in value.ListFields():
        if field.message_type and not is_map(field):
            inner += content if field.is_repeated else [content]
    return any(holds_strange_entry(each) for each in inner)


def judge(schema, case_path, answer_path):
    types = classes(schema)
    agreed = {"whole": 0, "damaged, read": 0, "damaged, refused": 0, "excused": 0}
    wrong = []
    for (name, data), (verdict, answer) in zip(read(case_path), read(answer_path), strict=True):
        damaged, kind = name.startswith("!"), types[name.lstrip("!")]
        try:
            ours = kind.FromString(data).SerializeToString(deterministic=True)
        except message.DecodeError:
            ours = None
        if ours is None or verdict != "ok":
            good = ours is None and verdict != "ok"
            agreed["damaged, refused"] += good
        elif damaged:
            good = kind.FromString(answer).SerializeToString(deterministic=True) == ours
            agreed["damaged, read"] += good
            if not good and holds_strange_entry(kind.FromString(data)):
                good = True
                agreed["excused"] += 1
        else:
            good = answer == data
            agreed["whole"] += good
        if not good:
            wrong.append(f"{name} {data.hex()}\n  python: {'refused' if ours is None else ours.hex()}\n  answer: {verdict} {answer.hex()}")
    print(agreed, len(wrong), "wrong")
    print("\n".join(wrong[:10]))
    sys.exit(1 if wrong else 0)


def main():
    command, schema, *rest = sys.argv[1:]
    if command == "messages":
        print("\n".join(classes(schema)))
    elif command == "descriptor":
        theirs = descriptor_pb2.FileDescriptorProto.FromString(pathlib.Path(rest[0]).read_bytes())
        sys.exit(0 if theirs == load(schema).file[-1] else 1)
    elif command == "cases":
        cases(schema, *rest)
    elif command == "judge":
        judge(schema, *rest)


main()
