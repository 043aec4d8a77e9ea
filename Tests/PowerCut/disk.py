"""What a power cut leaves of the files that a program wrote under powercut.c.

The model of the disk is harsher than ext4. A sync makes durable what had returned before it was called: of a file its content and
length (`fsync`, `fdatasync`), of a folder the names in it (`fsync`), of everything both (`syncfs`). A name says nothing of the
content, nor the content of the name, and folders are no exception: one whose own name is lost is gone with all that is in it. Of what
was not synced any part may survive, in any order: sectors of a write, lengths, names; a rename is one step. Where nothing survived
below a file's length it holds zeros.
"""

import os
import pathlib
import shutil
import struct
import subprocess

SOURCE = pathlib.Path(__file__).with_name("powercut.c")
SECTOR = 512
LINE = struct.Struct("<cB6xQQQII")
#: Syncs that a test may take from the program without its knowing.
FILE_SYNCS, FOLDER_SYNCS, FILE_SYSTEM_SYNCS = "file syncs", "folder syncs", "file system syncs"
#: Those of the files alone that SlateDB writes.
SORTED_FILE_SYNCS = "syncs of sorted files and manifests"


def build(folder):
    """Compiles the shim; gives its path."""
    library = pathlib.Path(folder) / "powercut.so"
    if not library.exists():
        # The compiler comes with Swift.
        subprocess.run(["clang", "-shared", "-fPIC", "-O2", "-o", library, SOURCE, "-ldl"], check=True)
    return library


class Weather:
    """How much of what was not synced a cut leaves."""

    KINDS = ["nothing", "names", "everything", "some", "some", "some"]

    def __init__(self, chance, kind=None):
        self.chance = chance
        self.kind = kind or chance.choice(self.KINDS)
        some = [0.1, 0.5, 0.9]
        self.names, self.lengths, self.data = {
            "nothing": (0, 0, 0), "names": (1, chance.choice([0, 1]), 0), "everything": (1, 1, 1),
            "some": (chance.choice(some), chance.choice(some), chance.choice(some)),
        }[self.kind]

    def keeps(self, likelihood):
        return self.chance.random() < likelihood

    def __str__(self):
        return f"{self.kind} (names {self.names}, lengths {self.lengths}, data {self.data})"


class Node:
    """A file or a folder: what of it is durable, and what was done to it since, as (place in the journal, change)."""

    def __init__(self):
        self.durable = self.empty()
        self.pending = []

    def settle(self, before):
        """Makes durable what was done before that place in the journal."""
        count = sum(place < before for place, _ in self.pending)
        for _, change in self.pending[:count]:
            self.apply(self.durable, change)
        del self.pending[:count]

    def now(self):
        """As the program sees it."""
        state = self.durable.copy()
        for _, change in self.pending:
            self.apply(state, change)
        return state


class File(Node):
    """Its changes are (offset, bytes), (offset, number of zeros) and (None, new length)."""

    empty = bytearray

    @staticmethod
    def apply(content, change):
        at, data = change
        if at is None:
            del content[data:]
            content.extend(bytes(data - len(content)))
            return
        if isinstance(data, int):
            data = bytes(data)
        content.extend(bytes(max(0, at - len(content))))
        content[at:at + len(data)] = data

    def remains(self, weather):
        content, lengths = self.durable.copy(), [len(self.durable)]
        for _, (at, data) in self.pending:
            size = data if isinstance(data, int) else len(data)
            lengths.append(size if at is None else max(lengths[-1], at + size))
            if at is None or not isinstance(data, int) or len(content) > at:
                self._tear(content, at, data, weather)
        length = lengths[-1] if weather.keeps(weather.lengths) else weather.chance.choice(lengths)
        if weather.lengths == 0:
            length = lengths[0]
        self.apply(content, (None, length))
        return content

    def _tear(self, content, at, data, weather):
        """Applies what survives of a change."""
        if weather.data in (0, 1) or at is None or weather.keeps(0.3):
            if weather.keeps(weather.data):
                self.apply(content, (at, data))
            return
        data = bytes(data) if isinstance(data, int) else data
        start = at
        while start < at + len(data):
            end = min((start // SECTOR + 1) * SECTOR, at + len(data))
            if weather.keeps(weather.data):
                self.apply(content, (start, data[start - at:end - at]))
            start = end


class Folder(Node):
    """Its changes are names with what they stand for from then on, or nothing."""

    empty = dict

    @staticmethod
    def apply(names, change):
        for name, node in change.items():
            if node is None:
                names.pop(name, None)
            else:
                names[name] = node

    def remains(self, weather):
        names = self.durable.copy()
        for _, change in self.pending:
            if weather.keeps(weather.names):
                self.apply(names, change)
        return names


class Disk:
    """A folder on a disk, through the lives of a program that was started on it again and again."""

    def __init__(self, folder, library):
        self.folder, self.library = pathlib.Path(folder).resolve(), library
        self.journal = self.folder.with_name(self.folder.name + ".journal")
        self.root = Folder()
        self.weather = None
        self.operations = 0
        self._write()

    def environment(self, at=0, sync_microseconds=0):
        """For the program's next life. `at`: the operation in the middle of which it ends."""
        return {
            "LD_PRELOAD": str(self.library), "POWERCUT_FOLDER": str(self.folder), "POWERCUT_JOURNAL": str(self.journal),
            "POWERCUT_AT": str(at), "POWERCUT_SYNC_US": str(sync_microseconds),
        }

    def cut(self, weather):
        """The power is cut after a life that was followed: the files become what it left of them."""
        self.weather = weather
        self.root = self._remains(self.root, {})
        self._write()

    # What the program did

    def follow(self, without=()):
        """Reads the journal of the life that has ended. Gives whether the shim ended it: nothing else was under way then.
        `without`: kinds of syncs that never reached the disk."""
        self.numbers, self.paths = {}, {}
        lines = list(self._lines())
        was_cut = bool(lines) and lines[-1][1] == b"C"
        if was_cut:
            lines.pop()
        self.operations = len(lines)
        for index, (place, *line) in enumerate(lines):
            # The operation that a cut fell into had not returned, and promised nothing.
            self._do(place, *line, without, had_returned=not (was_cut and index == len(lines) - 1))
        return was_cut

    def _lines(self):
        journal = self.journal.read_bytes()
        place = 0
        while place + LINE.size <= len(journal):
            kind, flag, number, at, count, name_bytes, data_bytes = LINE.unpack_from(journal, place)
            names = place + LINE.size
            end = names + name_bytes + data_bytes
            if end > len(journal):
                return
            paths = journal[names:names + name_bytes].decode().split("\0")
            yield place, kind, flag, number, at, journal[end - data_bytes:end] if data_bytes else count, paths
            place = end

    def _do(self, place, kind, flag, number, at, data, paths, without, had_returned):
        if kind in b"SDF":
            if had_returned:
                self._sync(kind, number, at, without)
        elif kind == b"O":
            if flag:
                parent, name = self._place(paths[0])
                self._change(place, parent, {name: File()})
            self.numbers[number], self.paths[number] = self._find(paths[0]), paths[0]
        elif kind in b"WTE":
            file = self.numbers[number]
            if kind != b"W":
                at, data = None, max(at, len(file.now())) if kind == b"E" else at
            self._change(place, file, (at, data))
        else:
            self._rename(place, kind, paths)

    def _rename(self, place, kind, paths):
        parent, name = self._place(paths[-1])
        change = {name: None}
        if kind == b"M":
            change = {name: Folder()}
        elif kind in b"NR":
            old, old_name = self._place(paths[0])
            change = {name: self._find(paths[0])}
            if kind == b"R":
                if old is not parent:
                    raise NotImplementedError("a rename from one folder to another is not modelled")
                change = {old_name: None} | change
        self._change(place, parent, change)

    @staticmethod
    def _change(place, node, change):
        node.pending.append((place, change))

    def _sync(self, kind, number, before, without):
        node = self.numbers[number]
        if kind == b"F":
            if FILE_SYSTEM_SYNCS not in without:
                for node in self._all(self.root, {}).values():
                    node.settle(before)
        elif not self._kinds(node, self.paths[number]) & set(without):
            node.settle(before)

    @staticmethod
    def _kinds(node, path):
        """What a sync is of the kinds that may be left out."""
        if isinstance(node, Folder):
            return {FOLDER_SYNCS}
        is_sorted = {"compacted", "manifest", "compactions"} & set(pathlib.PurePath(path).parts)
        return {FILE_SYNCS, SORTED_FILE_SYNCS} if is_sorted else {FILE_SYNCS}

    def _all(self, node, seen):
        if id(node) not in seen:
            seen[id(node)] = node
            if isinstance(node, Folder):
                changes = [node.durable] + [change for _, change in node.pending]
                for below in [below for change in changes for below in change.values() if below]:
                    self._all(below, seen)
        return seen

    def _parts(self, path):
        return pathlib.PurePath(os.path.normpath(path)).relative_to(self.folder).parts

    def _find(self, path):
        node = self.root
        for part in self._parts(path):
            node = node.now()[part]
        return node

    def _place(self, path):
        path = os.path.normpath(path)
        return self._find(os.path.dirname(path)), os.path.basename(path)

    # What is left

    def _remains(self, node, made):
        """What a cut leaves of a file, or of a folder and all below. Names of one file stay names of one file."""
        if id(node) in made:
            return made[id(node)]
        copy = made[id(node)] = type(node)()
        remains = node.remains(self.weather)
        if isinstance(node, Folder):
            remains = {name: self._remains(below, made) for name, below in remains.items()}
        copy.durable = remains
        return copy

    def _write(self):
        """Writes everything anew."""
        shutil.rmtree(self.folder, ignore_errors=True)
        written = {}

        def write(node, path):
            if isinstance(node, Folder):
                path.mkdir(mode=0o700, parents=True)
                for name, below in node.durable.items():
                    write(below, path / name)
            elif node in written:
                os.link(written[node], path)
            else:
                path.write_bytes(node.durable)
                written[node] = path

        write(self.root, self.folder)

    def differences(self):
        """Where the files differ from what the journal says of them: what the program did past the shim."""
        return list(self._differ(self.root, self.folder))

    def _differ(self, node, path):
        names = node.now()
        for name in sorted(set(names) | set(os.listdir(path))):
            below, place = names.get(name), path / name
            if below is None or not place.exists():
                yield f"{place} is {'not ' if below else ''}there"
            elif isinstance(below, Folder):
                yield from self._differ(below, place)
            elif below.now() != place.read_bytes():
                yield f"{place} has other content"
