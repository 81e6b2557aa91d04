"""Data directories that something happened to, given to the real programs.

A start either serves everything that is intact and says what is not, or is refused with one line that names
the file and leaves every byte as it was. Arguments: millraced, millrace.
"""

import ctypes
import json
import os
import random
import shutil
import struct
import sys
import tempfile
import time
import unittest

import broker as programs
from broker import Broker, millrace, refusal_lines, start_refused

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


class DataDirectory(unittest.TestCase):
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

    def test_a_killed_brokers_directory_is_served_whole(self):
        self.serves(self.copy())

    # Case 91.
    def test_a_segment_of_a_newer_format_is_refused_by_name_and_the_rest_is_left_as_it_was(self):
        for log, name in (("shard-0", self.sealed[1]), ("shard-0", self.newest),
                          ("catalog", "00000001.segment")):
            with self.subTest(log=log, name=name):
                data = self.copy()
                path = os.path.join(data, log, name)
                old = read(path)[:DATA_OFFSET]
                header = bytearray(old[:HEADER.size - 8])
                struct.pack_into("<I", header, 8, 2)
                header += struct.pack("<Q", xxh3(header, HEADER_SEED))
                for copy in (0, PAGE):
                    patch(path, copy, header)
                self.refused(data, EXIT_DAMAGED, f"{log}", name, "newer version")
                patch(path, 0, old)
                self.serves(data)

    def test_the_checksum_used_here_is_that_of_the_format(self):
        content = read(os.path.join(self.template, "shard-0", self.newest))
        self.assertEqual(xxh3(content[:HEADER.size - 8], HEADER_SEED), HEADER.unpack_from(content)[-1])

    # Case 92.
    def test_what_is_named_like_a_segment_and_is_no_file_is_reported_and_left_alone(self):
        makers = {"a link": lambda path, outside: os.symlink(outside, path),
                  "a link to nothing": lambda path, outside: os.symlink(outside + "-none", path),
                  "a pipe": lambda path, outside: os.mkfifo(path),
                  "a folder": lambda path, outside: os.mkdir(path)}
        for log in ("shard-0", "catalog"):
            for what, make in makers.items():
                with self.subTest(what=what, log=log):
                    data = self.copy()
                    outside = os.path.join(os.path.dirname(data), "outside")
                    shutil.copy(os.path.join(data, "shard-0", self.newest), outside)
                    before = read(outside)
                    planted = os.path.join(data, log, "000000ff.segment")
                    make(planted, outside)
                    kind = os.lstat(planted).st_mode
                    with Broker(data, *FLAGS) as broker:
                        self.assertRegex(broker.log(), f"warn .*{log}/000000ff.segment is not a regular")
                        self.assertEqual((MESSAGES, 0, 0), broker.counters("work"))
                        self.assertEqual(MESSAGES, len(broker.drain("work")))
                        self.assertEqual(0, broker.stop())
                    self.assertEqual(before, read(outside))
                    self.assertFalse(os.path.exists(outside + "-none"))
                    self.assertEqual(kind, os.lstat(planted).st_mode)

    def test_a_segment_that_was_replaced_by_a_link_to_itself_is_not_followed(self):
        data = self.copy()
        path = os.path.join(data, "shard-0", self.sealed[1])
        outside = os.path.join(os.path.dirname(data), "outside")
        os.rename(path, outside)
        os.symlink(outside, path)
        before = read(outside)
        self.refused(data, EXIT_DAMAGED, "missing")
        self.assertEqual(before, read(outside))

    def test_links_in_the_place_of_the_other_files_are_never_written_through(self):
        for name in ("LOCK", "shard-0/checkpoint", "catalog/checkpoint", "shard-0", "catalog"):
            with self.subTest(name=name):
                data = self.copy()
                path = os.path.join(data, name)
                outside = os.path.join(os.path.dirname(data), "outside")
                if os.path.isdir(path):
                    os.rename(path, outside)
                else:
                    if os.path.exists(path):
                        os.remove(path)
                    with open(outside, "wb") as file:
                        file.write(b"precious\n")
                os.symlink(outside, path)
                before = files_of(outside) if os.path.isdir(outside) else read(outside)
                if name.endswith("checkpoint"):
                    self.serves(data)
                else:
                    self.refused(data, EXIT_FAILED, os.path.basename(data) if name == "LOCK" else name)
                after = files_of(outside) if os.path.isdir(outside) else read(outside)
                self.assertEqual(before, after)

    def test_a_link_in_the_place_of_a_quarantine_file_is_never_written_through(self):
        data = self.copy()
        victim = os.path.join(data, "shard-0", self.sealed[1])
        at, length, _ = [r for r in Segment(victim).records() if r[2] == KIND_ENQUEUE][5]
        flip(victim, at + length // 2)
        probe = self.copy()
        shutil.copy(victim, os.path.join(probe, "shard-0", self.sealed[1]))
        with Broker(probe, *FLAGS) as broker:
            broker.kill()
        names = [n for n in os.listdir(os.path.join(probe, "shard-0")) if n.startswith("quarantine")]
        self.assertEqual(1, len(names))
        outside = os.path.join(os.path.dirname(data), "outside")
        with open(outside, "wb") as file:
            file.write(b"precious\n")
        os.symlink(outside, os.path.join(data, "shard-0", names[0]))
        try:
            with Broker(data, *FLAGS) as broker:
                self.assertEqual((MESSAGES - 1, 0, 0), broker.counters("work"))
        except programs.Failed:
            pass  # refusing is allowed here, following is not
        self.assertEqual(b"precious\n", read(outside))

    def test_foreign_files_are_left_alone(self):
        data = self.copy()
        foreign = {"notes.txt": b"mine\n", "shard-0/core": b"x" * 5000, "shard-0/1.segment": b"short",
                   "shard-0/00000001.SEGMENT": b"loud", "shard-0/00000002.segment~": b"a backup",
                   "shard-7.tar": b"", "catalog/.hidden": b"h"}
        for name, content in foreign.items():
            with open(os.path.join(data, name), "wb") as file:
                file.write(content)
        os.mkdir(os.path.join(data, "lost+found"))
        log = self.serves(data, says=foreign)
        self.assertNotIn("lost+found", log)  # the file system's own
        after = files_of(data)
        self.assertEqual(foreign, {name: after.get(name) for name in foreign})
        self.assertTrue(os.path.isdir(os.path.join(data, "lost+found")))

    # Case 93.
    def test_a_second_process_is_refused_and_the_first_one_unharmed(self):
        data = self.copy()
        alias = os.path.join(os.path.dirname(data), "alias")
        os.symlink(data, alias)
        with Broker(data, *FLAGS) as broker:
            self.assertEqual((MESSAGES, 0, 0), broker.counters("work"))
            time.sleep(0.3)
            for path in (data, alias, data + "/../data/"):
                self.refused(path, EXIT_FAILED, "another process")
            self.assertTrue(broker.running())
            repair = millrace("log", "repair", data)
            self.assertEqual(EXIT_FAILED, repair.returncode, repair.stdout)
            self.assertEqual(1, len(repair.stderr.splitlines()))
            broker.command("send", "work", "still here")
            received = broker.drain("work")
            self.assertEqual(MESSAGES + 1, len(received))
            self.assertEqual("still here", received[-1])
            broker.kill()
        # The lock ends with the process, not with the file.
        self.assertTrue(os.path.exists(os.path.join(data, "LOCK")))
        with Broker(data, *FLAGS) as broker:
            self.assertEqual((0, 0, 0), broker.counters("work"))

    def test_a_lock_file_that_is_deleted_lets_no_second_broker_in(self):
        data = self.copy()
        with Broker(data, *FLAGS) as broker:
            os.remove(os.path.join(data, "LOCK"))
            code, errors = start_refused(data, *FLAGS)
            self.assertEqual((1, 1), (code, len(errors.splitlines())), errors)
            self.assertTrue(broker.running())

    # Case 94.
    def test_a_used_segment_without_headers_is_refused_by_name_and_repair_serves_all(self):
        noise = random.Random(94).randbytes
        for name in (self.sealed[0], self.sealed[1], self.newest):
            for fill in (noise, bytes):
                with self.subTest(name=name, zeros=fill is bytes):
                    data = self.copy()
                    for copy in (0, PAGE):
                        patch(os.path.join(data, "shard-0", name), copy, fill(PAGE))
                    # Zeros are no unreadable header but a file that was never used: one is missing.
                    self.refused(data, EXIT_DAMAGED, "shard-0: ", name if fill is noise else "segment")
                    verify = millrace("log", "verify", data)
                    self.assertEqual(EXIT_FAILED, verify.returncode)
                    repair = millrace("log", "repair", data)
                    self.assertEqual(0, repair.returncode, repair.stderr)
                    self.serves(data)

    def test_refused_starts_leave_nothing_behind_however_many(self):
        data = self.copy()
        for copy in (0, PAGE):
            patch(os.path.join(data, "shard-0", self.sealed[0]), copy, random.Random(7).randbytes(PAGE))
        names = files_of(data).keys()
        for _ in range(12):
            self.refused(data, EXIT_DAMAGED, self.sealed[0])
            self.assertEqual(names | {"LOCK"}, files_of(data).keys())

    def test_one_bad_header_copy_is_no_harm(self):
        for copy in (0, PAGE):
            with self.subTest(copy=copy):
                data = self.copy()
                for name in self.sealed + [self.newest]:
                    flip(os.path.join(data, "shard-0", name), copy + 40)
                self.serves(data)

    def test_unreadable_headers_of_a_segment_that_never_held_acknowledged_data_are_set_aside(self):
        data = self.copy()
        spare = [segment for segment in segments(data) if not segment.used][0]
        for copy in (0, PAGE):
            patch(spare.path, copy, random.Random(copy).randbytes(PAGE))
        damaged = read(spare.path)
        log = self.serves(data, says=[f"{spare.name}: both headers are unreadable, set aside"])
        self.assertRegex(log, "warn ")
        self.assertEqual(damaged, read(spare.path + ".unreadable"))

    def test_a_missing_sealed_segment_is_refused_and_repair_serves_the_rest(self):
        data = self.copy()
        gone = os.path.join(data, "shard-0", self.sealed[1])
        content = read(gone)
        os.remove(gone)
        self.refused(data, EXIT_DAMAGED, "shard-0", "missing")
        repair = millrace("log", "repair", data)
        self.assertEqual(0, repair.returncode, repair.stderr)
        missing = {i for i in range(MESSAGES) if content.find(f"message {i:06d} ".encode()) >= 0}
        self.assertGreater(len(missing), 50)
        self.serves(data, missing=missing)

    def test_a_flipped_bit_in_a_sealed_segment_loses_exactly_the_record_it_hit(self):
        segment = Segment(os.path.join(self.template, "shard-0", self.sealed[1]))
        records = list(segment.records())
        messages = [r for r in records if r[2] == KIND_ENQUEUE]
        marks = [r for r in records if r[2] == KIND_MARK]
        length = messages[0][1]
        # Checksum, length, kind, queue, slot, the message's header, its body, the last byte.
        deltas = (0, 8, 11, 12, 14, 16, 24, 52, length // 2, length - 1)
        hits = [(messages[1 + 4 * n], delta) for n, delta in enumerate(deltas)]
        hits += [(messages[0], length // 3), (messages[-1], 9), (marks[3], 0), (marks[5], 40)]
        for (at, length, kind), delta in hits:
            with self.subTest(kind=kind, delta=delta):
                missing = {i for i in range(MESSAGES)
                           if segment.content.find(f"message {i:06d} ".encode(), at, at + length) >= 0}
                self.assertEqual(1 if kind == KIND_ENQUEUE else 0, len(missing))
                data = self.copy()
                flip(os.path.join(data, "shard-0", segment.name), at + delta)
                verify = millrace("--json", "log", "verify", data)
                self.assertEqual(EXIT_FAILED, verify.returncode)
                report = [json.loads(line) for line in verify.stdout.splitlines()]
                self.assertEqual([0, 1], [log["damaged_ranges"] for log in report])
                self.serves(data, missing=missing, says=[
                    f"shard-0/{segment.name}: ", "are damaged, copied to quarantine"])
                kept = [n for n in os.listdir(os.path.join(data, "shard-0"))
                        if n.startswith("quarantine-")]
                self.assertEqual(1, len(kept))
                damaged = read(os.path.join(data, "shard-0", kept[0]))
                for i in missing:
                    self.assertIn(f"{i:06d}"[1:] if delta == 0 else body_of(i)[-1000:-500],
                                  damaged.decode("latin-1"))

    def test_a_file_cut_short_keeps_what_is_before_the_cut(self):
        segment = Segment(os.path.join(self.template, "shard-0", self.sealed[1]))
        cut = len(segment.content) // 2
        data = self.copy()
        os.truncate(os.path.join(data, "shard-0", segment.name), cut)
        messages = [r for r in segment.records() if r[2] == KIND_ENQUEUE]
        lost = [r for r in messages if r[0] + r[1] > cut]
        first = next(i for i in range(MESSAGES)
                     if segment.content.find(f"message {i:06d} ".encode(), lost[0][0]) >= 0)
        self.serves(data, missing=set(range(first, first + len(lost))), says=["are damaged"])


class Checkpoint(unittest.TestCase):
    """A checkpoint is a cache: whatever happens to it, the same queues come back."""

    FLAGS = ("--shards", "2", "--segment-size", "4MiB")

    def observed(self, broker):
        """All of a broker's state that a client can see and that does not change with time."""
        state = {}
        for name in ("mixed", "empty", "drained"):
            shown = broker.show(name)
            state[name] = [shown[key] for key in ("id", "attributes", "created_at_ms", "ready", "leased",
                                                  "delayed", "bytes")]
            peeked = broker.command("peek", name, "--max", "1000")
            state[name] += sorted((m["shard"], m["slot"], m["state"], m["body"], m["receive_count"],
                                   m["sent_at_ms"]) for m in peeked)
        return state

    def test_lost_or_damaged_it_changes_nothing(self):
        with tempfile.TemporaryDirectory(prefix="millrace-checkpoint-") as folder:
            template = os.path.join(folder, "template")
            with Broker(template, *self.FLAGS) as broker:
                broker.command("queue", "create", "empty", "--set", "VisibilityTimeout=7")
                broker.command("queue", "create", "drained")
                broker.command("queue", "create", "mixed")
                for part in range(4):
                    lines = "".join(f"{part}-{i} {'y' * 500}\n" for i in range(100))
                    broker.command("send", "mixed", "--lines", stdin=lines.encode())
                    broker.command("send", "drained", "--lines", stdin=lines.encode())
                broker.command("send", "mixed", "later", "--delay", "800")
                broker.command("receive", "mixed", "--max", "30", "--ack")
                leased = broker.command("receive", "mixed", "--max", "20", "--visibility", "3600")
                self.assertEqual(400, len(broker.drain("drained")))
                before = self.observed(broker)
                self.assertEqual([350, 20, 1], before["mixed"][3:6])
                self.assertEqual(0, broker.stop())
            names = ["shard-0/checkpoint", "shard-1/checkpoint", "catalog/checkpoint"]
            names = [name for name in names if os.path.exists(os.path.join(template, name))]
            self.assertGreaterEqual(len(names), 2)
            for what, damage in self.damages(template).items():
                with self.subTest(what=what):
                    data = os.path.join(folder, "data")
                    shutil.copytree(template, data)
                    for name in names:
                        damage(os.path.join(data, name))
                    for _ in range(2):
                        with Broker(data, *self.FLAGS) as broker:
                            self.assertEqual(before, self.observed(broker))
                            broker.kill()
                    with Broker(data, *self.FLAGS) as broker:
                        broker.command("ack", "mixed", *[m["receipt"] for m in leased])
                        self.assertEqual((350, 0, 1), broker.counters("mixed"))
                        self.assertEqual(350, len(set(broker.drain("mixed"))))
                        self.assertEqual(0, broker.stop())
                    shutil.rmtree(data)

    def damages(self, template):
        size = os.path.getsize(os.path.join(template, "shard-0", "checkpoint"))
        other = read(os.path.join(template, "shard-0", "checkpoint"))
        def write(path, content):
            with open(path, "wb") as file:
                file.write(content)
        cases = {"untouched": lambda path: None, "deleted": os.remove,
                 "empty": lambda path: write(path, b""),
                 "half": lambda path: os.truncate(path, os.path.getsize(path) // 2),
                 "longer": lambda path: write(path, read(path) + b"more"),
                 "noise": lambda path: write(path, random.Random(1).randbytes(os.path.getsize(path))),
                 "of another shard": lambda path: write(path, other),
                 "of a newer version": lambda path: patch(path, 8, struct.pack("<I", 2))}
        for at in (0, 8, 12, 16, 24, 32, 40, 48, 56, 64, size - 1):
            cases[f"bit flipped at {at}"] = lambda path, at=at: flip(
                path, min(at, os.path.getsize(path) - 1))
        return cases


class Path(unittest.TestCase):
    """What is no usable data directory is one line and exit 1."""

    def test_a_path_that_cannot_be_a_data_directory_is_one_line(self):
        with tempfile.TemporaryDirectory(prefix="millrace-path-") as folder:
            file = os.path.join(folder, "file")
            with open(file, "wb") as made:
                made.write(b"x")
            os.symlink(os.path.join(folder, "nothing"), os.path.join(folder, "dangling"))
            os.symlink("loop", os.path.join(folder, "loop"))
            os.mkfifo(os.path.join(folder, "pipe"))
            for name in ("file", "file/below", "missing/parent", "dangling", "loop", "pipe", "n" * 300):
                with self.subTest(name=name):
                    code, errors = start_refused(os.path.join(folder, name), *FLAGS)
                    self.assertEqual(EXIT_FAILED, code, errors)
                    self.assertEqual(1, len(errors.splitlines()), errors)
                    self.assertIn(name, errors)
            self.assertEqual(b"x", read(file))
            self.assertFalse(os.path.exists(os.path.join(folder, "nothing")))
            self.assertFalse(os.path.exists(os.path.join(folder, "missing")))


if __name__ == "__main__":
    programs.use_programs(*sys.argv[1:3])
    unittest.main(argv=sys.argv[:1])
