"""Data directories in which something lies that no broker put there, given to the real programs.

A start either serves all messages and says what is not the broker's, or is refused with one line that names it
and leaves every byte as it was. Arguments: millraced, millrace.
"""

import os
import shutil
import struct
import sys
import tempfile
import time
import unittest

import broker as programs
from broker import Broker, millrace, start_refused
from data_directory import (DATA_OFFSET, EXIT_DAMAGED, EXIT_FAILED, FLAGS, HEADER, HEADER_SEED, KIND_ENQUEUE,
                            MESSAGES, PAGE, DirectoryTest, Segment, files_of, flip, patch, read, xxh3)


class DataDirectory(DirectoryTest):
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
                newer = struct.unpack_from("<I", header, 8)[0] + 1
                struct.pack_into("<I", header, 8, newer)
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
