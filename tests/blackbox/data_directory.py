"""What the tests of data directories share: reading a segment as docs/storage-format.md has it, changing bytes of
it, and a directory with 200 messages to do it to."""

import ctypes
import os
import shutil
import struct
import tempfile
import time
import unittest

from broker import Broker, refusal_lines, start_refused

FLAGS = ("--shards", "1", "--segment-size", "4MiB")
EXIT_FAILED = 1
EXIT_DAMAGED = 78

# docs/storage-format.md
PAGE = 4096
HEADER = struct.Struct("<8sIHH8QqQQ")
HEADER_SEED = 0x4D696C6C72616365
DATA_OFFSET = 2 * PAGE
RECORD_HEADER = 16
KIND_ENQUEUE = 1
KIND_MARK = 0xFF00

MESSAGES = 200
BODY_BYTES = 64 << 10


def body_of(i):
    return f"message {i:06d} ".ljust(BODY_BYTES, "abcdefgh"[i % 8])


def xxh3(data, seed):
    library = ctypes.CDLL("libxxhash.so.0")
    library.XXH3_64bits_withSeed.restype = ctypes.c_uint64
    library.XXH3_64bits_withSeed.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint64]
    return library.XXH3_64bits_withSeed(bytes(data), len(data), seed)


def read(path):
    with open(path, "rb") as file:
        return file.read()


def patch(path, offset, data):
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(data)


def flip(path, offset, bit=3):
    byte = read(path)[offset]
    patch(path, offset, bytes([byte ^ 1 << bit]))


def files_of(folder):
    """Path below the folder to content, of all that is there; links are not followed."""
    found = {}
    for parent, folders, names in os.walk(folder):
        for name in names + [f for f in folders if os.path.islink(os.path.join(parent, f))]:
            path = os.path.join(parent, name)
            content = os.readlink(path) if os.path.islink(path) else read(path)
            found[os.path.relpath(path, folder)] = content
    return found


class Segment:
    def __init__(self, path):
        self.path = path
        self.name = os.path.basename(path)
        self.content = read(path)
        fields = HEADER.unpack_from(self.content)
        self.used = fields[0] == b"MILLSEG1"
        self.sequence = fields[5]

    def records(self):
        """(offset, length, kind) of each, up to the first that was never written."""
        at = DATA_OFFSET
        while at + RECORD_HEADER <= len(self.content):
            length, kind = struct.unpack_from("<IH", self.content, at + 8)
            if length == 0:
                return
            yield at, length, kind
            at += (length + 7) & ~7


def segments(data, log="shard-0"):
    folder = os.path.join(data, log)
    found = [Segment(os.path.join(folder, name)) for name in os.listdir(folder)
             if name.endswith(".segment")]
    return sorted(found, key=lambda segment: segment.sequence)


def in_use(data):
    return [segment for segment in segments(data) if segment.used]


class DirectoryTest(unittest.TestCase):
    """Each test gets a copy of the directory of a broker that was killed with 200 messages in it, each
    sent alone, so that a record is a message."""

    @classmethod
    def setUpClass(cls):
        cls.made = tempfile.TemporaryDirectory(prefix="millrace-data-")
        cls.addClassCleanup(cls.made.cleanup)
        cls.template = os.path.join(cls.made.name, "template")
        with Broker(cls.template, *FLAGS) as broker:
            broker.command("queue", "create", "work")
            for i in range(MESSAGES):
                broker.command("send", "work", stdin=body_of(i).encode())
            time.sleep(0.3)  # the log tells in a mark of its own that all of it is durable
            broker.kill()
        cls.sealed = [segment.name for segment in in_use(cls.template)][:-1]
        cls.newest = in_use(cls.template)[-1].name
        assert len(cls.sealed) >= 3, cls.sealed
        cls.copies = 0

    def copy(self):
        type(self).copies += 1
        folder = os.path.join(self.made.name, f"copy-{self.copies}")
        os.mkdir(folder)
        self.addCleanup(shutil.rmtree, folder)
        data = os.path.join(folder, "data")
        shutil.copytree(self.template, data)
        return data

    def serves(self, data, missing=(), says=()):
        """Starts on it, finds all messages but the missing ones, in order, and again after a kill."""
        expected = [body_of(i) for i in range(MESSAGES) if i not in missing]
        with Broker(data, *FLAGS) as broker:
            log = broker.log()
            for text in says:
                self.assertIn(text, log)
            self.assertEqual((len(expected), 0, 0), broker.counters("work"))
            broker.kill()
        with Broker(data, *FLAGS) as broker:
            self.assertEqual((len(expected), 0, 0), broker.counters("work"))
            received = broker.drain("work")
            self.assertEqual([b[:14] for b in expected], [b[:14] for b in received])
            self.assertEqual(expected, received)
            broker.command("send", "work", "one more")
            self.assertEqual(["one more"], broker.drain("work"))
            self.assertEqual(0, broker.stop())
        return log

    def refused(self, data, code, *says):
        """One line that says so, and no byte is changed: all logs are read before the first is written."""
        before = files_of(data)
        before.pop("LOCK", None)  # it names the last process
        exit_code, errors = start_refused(data, *FLAGS)
        self.assertEqual(code, exit_code, errors)
        lines = refusal_lines(errors)
        self.assertEqual(1, len(lines), errors)
        for text in says:
            self.assertIn(text, lines[0])
        after = files_of(data)
        after.pop("LOCK", None)
        self.assertEqual(before.keys(), after.keys())
        self.assertEqual([], [name for name in before if before[name] != after[name]])
