"""Data directories whose files were damaged, given to the real programs.

A start either serves everything that is intact and says what is not, or is refused with one line that names
the file and leaves every byte as it was. Arguments: millraced, millrace.
"""

import json
import os
import random
import re
import shutil
import struct
import sys
import tempfile
import unittest

import broker as programs
from broker import STOP_SECONDS_MAX, Broker, millrace
from data_directory import (EXIT_DAMAGED, EXIT_FAILED, FLAGS, KIND_ENQUEUE, KIND_MARK, MESSAGES, PAGE,
                            DirectoryTest, Segment, body_of, files_of, flip, patch, read, segments)

EXIT_STORAGE = 70

class Damage(DirectoryTest):
    # Case 94.
    def test_a_used_segment_without_headers_is_refused_by_name_and_repair_serves_all(self):
        noise = random.Random(94).randbytes
        for name in (self.sealed[0], self.sealed[1], self.newest):
            for fill in (noise, bytes):
                with self.subTest(name=name, zeros=fill is bytes):
                    data = self.copy()
                    for copy in (0, PAGE):
                        patch(os.path.join(data, "shard-0", name), copy, fill(PAGE))
                    self.refused(data, EXIT_DAMAGED, "shard-0: ", name)
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

    # Promise a16: what nobody receives is read all the same.
    def test_rot_under_a_running_broker_is_found_though_nobody_reads_there(self):
        segment = Segment(os.path.join(self.template, "shard-0", self.sealed[1]))
        messages = [r for r in segment.records() if r[2] == KIND_ENQUEUE]
        at, length, _ = messages[len(messages) // 2]
        missing = [i for i in range(MESSAGES)
                   if segment.content.find(f"message {i:06d} ".encode(), at, at + length) >= 0]
        self.assertEqual(1, len(missing))
        data = self.copy()
        with Broker(data, *FLAGS, "--scrub-period", "1") as broker:
            flip(os.path.join(data, "shard-0", segment.name), at + length // 2)
            self.assertEqual(EXIT_STORAGE, broker.process.wait(STOP_SECONDS_MAX), broker.log())
            self.assertIn("are not what was written there", broker.log())
        self.serves(data, missing=set(missing), says=[
            f"shard-0/{segment.name}: ", "are damaged, copied to quarantine"])

    def test_the_audit_log_is_told_of_a_fence_of_damage_and_of_what_was_given_up(self):
        segment = Segment(os.path.join(self.template, "shard-0", self.sealed[1]))
        at, length, _ = [r for r in segment.records() if r[2] == KIND_ENQUEUE][3]
        data = self.copy()
        audit = os.path.join(os.path.dirname(data), "audit.log")
        with Broker(data, *FLAGS, "--scrub-period", "1", "--audit", audit) as broker:
            flip(os.path.join(data, "shard-0", segment.name), at + length // 2)
            self.assertEqual(EXIT_STORAGE, broker.process.wait(STOP_SECONDS_MAX), broker.log())
        with Broker(data, *FLAGS, "--audit", audit, "--accept-clock") as broker:
            self.assertEqual(0, broker.stop())
        os.remove(os.path.join(data, "shard-0", self.sealed[0]))
        repair = millrace("log", "repair", data, "--audit", audit)
        self.assertEqual(0, repair.returncode, repair.stderr)
        lines = [json.loads(line) for line in read(audit).splitlines()]
        events = [line["event"] for line in lines]
        self.assertEqual(["server.started", "shard.fenced", "server.stopped", "data.quarantined", "clock.accepted",
                          "server.started", "server.stopped"], events[:7])
        self.assertEqual({"loss.accepted"}, set(events[7:]))
        self.assertEqual(["shard_fenced", "ok"], [lines[2]["result"], lines[6]["result"]])
        self.assertIn("shard-0: ", lines[3]["reason"])

    # Promise a15: under a map, what can't be read is a signal and no error code.
    def test_a_file_that_is_cut_under_a_running_broker_ends_it_with_the_files_name(self):
        segment = Segment(os.path.join(self.template, "shard-0", self.sealed[1]))
        messages = [r for r in segment.records() if r[2] == KIND_ENQUEUE]
        cut = messages[len(messages) // 2][0] & -PAGE
        lost = [i for i in range(MESSAGES) if self.end_of(segment, i) > cut]
        data = self.copy()
        path = os.path.join(data, "shard-0", segment.name)
        with Broker(data, *FLAGS) as broker:
            os.truncate(path, cut)
            received = []
            for _ in range(MESSAGES):
                answer = broker.try_command("receive", "work", "--max", "1", "--ack")
                if answer.returncode != 0:
                    break
                received.append(json.loads(answer.stdout)["body"])
            self.assertEqual(EXIT_STORAGE, broker.process.wait(STOP_SECONDS_MAX), broker.log())
            lines = [line for line in broker.log().splitlines() if line.startswith("millraced: ")]
            self.assertEqual(1, len(lines), broker.log())
            said = re.match(r"millraced: (\S+) can't be read at offset (\d+): ", lines[0])
            self.assertIsNotNone(said, lines[0])
            self.assertEqual(os.path.realpath(path), said.group(1))
            self.assertGreaterEqual(int(said.group(2)), cut)
        self.assertEqual([body_of(i) for i in range(len(received))], received)
        self.assertLessEqual(len(received), lost[0])
        # What is really there is read: the rest of the cut file is damage, and all else is served.
        with Broker(data, *FLAGS) as broker:
            self.assertRegex(broker.log(), f"shard-0/{segment.name}: \\d+ bytes at position \\d+ are damaged")
            expected = [body_of(i) for i in range(len(received), MESSAGES) if i not in lost]
            # The one that was under way may be acknowledged, or still leased.
            self.assertIn(broker.drain("work"), (expected, expected[1:]))
            self.assertEqual(0, broker.stop())

    def end_of(self, segment, i):
        """Of the i-th message's record in the segment; 0 if it is in another."""
        at = segment.content.find(f"message {i:06d} ".encode())
        return next((offset + length for offset, length, _ in segment.records()
                     if offset <= at < offset + length), 0)


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
                 "of a newer version": lambda path: patch(path, 8, struct.pack("<I", 99))}
        for at in (0, 8, 12, 16, 24, 32, 40, 48, 56, 64, size - 1):
            cases[f"bit flipped at {at}"] = lambda path, at=at: flip(
                path, min(at, os.path.getsize(path) - 1))
        return cases


if __name__ == "__main__":
    programs.use_programs(*sys.argv[1:3])
    unittest.main(argv=sys.argv[:1])
