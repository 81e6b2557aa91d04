"""A disk that fills up: sends are refused, everything that frees space goes on, nothing is lost.

The disk is a tmpfs of 64 MiB in a mount namespace of the test's own, so it needs root or user namespaces;
without them it says so and exits 77. Arguments: millraced, millrace.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

import broker as programs
from broker import Broker, Failed, start_refused

SKIPPED = 77
DISK_BYTES = 64 << 20
FLAGS = ("--shards", "1", "--segment-size", "4MiB")
CYCLES = int(os.environ.get("MILLRACE_FULL_DISK_CYCLES", "5"))
LINE_BYTES = 4000
REFUSAL = "millrace: queue 'work': no space is left for messages"
# How a disk is filled to its last byte: requests of so many messages of so many bytes.
STEPS = ((200, LINE_BYTES), (20, LINE_BYTES), (1, LINE_BYTES), (1, 200))
SENDS_MAX = 2000
RECOVER_SECONDS_MAX = 10

DISK = ""


class FullDisk(unittest.TestCase):
    def setUp(self):
        self.sent = 0
        self.kept = []  # acknowledged by the broker, not yet received
        self.uncertain = set()
        self.folder = tempfile.mkdtemp(prefix="run-", dir=DISK)
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.data = os.path.join(self.folder, "data")

    def open(self, *flags):
        return Broker(self.data, *FLAGS, *flags)

    def send(self, broker, count, size):
        """True if the broker took them; a refusal is one clear line."""
        bodies = [f"{self.sent + i:08d} ".ljust(size, "abcdefgh"[i % 8]) for i in range(count)]
        self.sent += count
        ended = broker.try_command("send", "work", "--lines", stdin="\n".join(bodies).encode())
        if ended.returncode == 0:
            self.kept += bodies
            return True
        errors = ended.stderr.decode().splitlines()
        self.assertEqual((1, 1), (ended.returncode, len(errors)), errors)
        self.assertTrue(errors[0].startswith(REFUSAL), errors[0])
        self.assertEqual(b"", ended.stdout, "a refused request stores nothing")
        return False

    def fill(self, broker):
        taken = 0
        for count, size in STEPS:
            while self.send(broker, count, size):
                taken += 1
                self.assertLess(taken, SENDS_MAX)
        self.assertTrue(broker.running())
        # Still refused, and still in one line, whatever else is asked.
        self.assertFalse(self.send(broker, 1, 200))
        self.assertEqual((len(self.kept), 0, 0), broker.counters("work"))

    def take(self, broker, count):
        """Receives `count`, acknowledges them by receipt: two requests that need space in the log."""
        taken = 0
        while taken < count:
            got = broker.command("receive", "work", "--max", str(min(100, count - taken)),
                                 "--visibility", "3600")
            self.assertTrue(got)
            self.assertEqual(self.kept[:len(got)], [m["body"] for m in got])
            del self.kept[:len(got)]
            broker.command("ack", "work", *[m["receipt"] for m in got])
            taken += len(got)

    def drain(self, broker):
        received = broker.drain("work")
        self.assertEqual([b[:8] for b in self.kept], [b[:8] for b in received])
        self.assertEqual(self.kept, received)
        self.kept = []
        self.assertEqual((0, 0, 0), broker.counters("work"))

    def sends_succeed_again(self, broker):
        deadline = time.monotonic() + RECOVER_SECONDS_MAX
        while not self.send(broker, 100, LINE_BYTES):
            self.assertLess(time.monotonic(), deadline, "sends are still refused after space was freed")
            time.sleep(0.05)

    def take_what_is_left(self):
        """Another program's file takes the rest of the disk, to the last page."""
        with open(os.path.join(self.folder, "filler"), "ab", buffering=0) as file:
            for size in (1 << 20, 4096, 1):
                try:
                    for _ in range(DISK_BYTES // size):
                        file.write(bytes(size))
                except OSError:
                    pass
        free = os.statvfs(self.folder)
        self.assertEqual(0, free.f_bavail)

    def files_bytes(self):
        folder = os.path.join(self.data, "shard-0")
        return sum(os.path.getsize(os.path.join(folder, name)) for name in os.listdir(folder))

    def cycle(self, broker):
        self.fill(broker)
        self.take(broker, len(self.kept) // 2)
        self.sends_succeed_again(broker)
        self.fill(broker)
        # An extension and its end need space too.
        leased = broker.command("receive", "work", "--max", "10", "--visibility", "3600")
        for message in leased:
            broker.command("extend", "work", message["receipt"], "0")
        # A message given back is again where it was: in front.
        self.drain(broker)
        self.sends_succeed_again(broker)
        self.drain(broker)

    def test_filled_and_drained_again_and_again_past_the_limit_of_the_file_system(self):
        with self.open("--max-disk", "1GiB") as broker:
            broker.command("queue", "create", "work")
            for n in range(CYCLES):
                with self.subTest(cycle=n):
                    self.cycle(broker)
                    self.assertGreater(self.sent * LINE_BYTES, 40 << 20)
            self.assertTrue(broker.running())
            self.assertEqual(0, broker.stop())
        with self.open("--max-disk", "1GiB") as broker:
            self.assertEqual((0, 0, 0), broker.counters("work"))

    def take_one_by_one(self, broker, count):
        for _ in range(count):
            self.take(broker, 1)

    def test_sends_between_single_receives_do_not_eat_what_acks_need(self):
        for limit in ("1GiB", "32MiB"):
            with self.subTest(limit=limit):
                with self.open("--max-disk", limit) as broker:
                    if limit == "1GiB":
                        broker.command("queue", "create", "work")
                    for _ in range(8):
                        self.fill(broker)
                        self.take_one_by_one(broker, 3)
                    self.drain(broker)
                    self.sends_succeed_again(broker)
                    self.drain(broker)
                    self.assertEqual(0, broker.stop())

    def test_leases_that_run_out_on_a_full_disk_do_not_end_the_queue(self):
        with self.open("--max-disk", "1GiB") as broker:
            broker.command("queue", "create", "work")
            self.fill(broker)
            self.take_what_is_left()
            for _ in range(600):
                broker.try_command("receive", "work", "--max", "1000", "--visibility", "1")
            time.sleep(1.1)
            received = broker.drain("work")
            self.assertEqual(sorted(self.kept), sorted(received))
            self.kept = []
            self.sends_succeed_again(broker)
            self.drain(broker)
            self.assertEqual(0, broker.stop())

    def test_killed_again_and_again_while_full_it_starts_and_drains(self):
        with self.open("--max-disk", "1GiB") as broker:
            broker.command("queue", "create", "work")
            self.fill(broker)
            self.take_what_is_left()
            broker.kill()
        for taken in (0, 1, 300, 0, 0, 1, 700, 0):
            with self.open("--max-disk", "1GiB") as broker:
                self.assertEqual((len(self.kept), 0, 0), broker.counters("work"))
                if taken:
                    self.take(broker, taken)
                broker.kill()
        with self.open("--max-disk", "1GiB") as broker:
            self.assertEqual((len(self.kept), 0, 0), broker.counters("work"))
            self.drain(broker)
            self.sends_succeed_again(broker)
            self.drain(broker)
            self.assertEqual(0, broker.stop())

    def test_filled_and_drained_again_and_again_past_max_disk(self):
        with self.open("--max-disk", "32MiB") as broker:
            broker.command("queue", "create", "work")
            for n in range(CYCLES):
                with self.subTest(cycle=n):
                    self.cycle(broker)
                    self.assertLessEqual(self.files_bytes(), 40 << 20)
            self.assertEqual(0, broker.stop())

    def test_with_no_byte_left_for_anybody_receives_and_acks_go_on(self):
        with self.open("--max-disk", "1GiB") as broker:
            broker.command("queue", "create", "work")
            self.fill(broker)
            self.take_what_is_left()
            self.take(broker, len(self.kept) // 2)
            self.assertTrue(broker.running())
            self.sends_succeed_again(broker)
            self.fill(broker)
            refused = broker.try_command("queue", "create", "another")
            self.assertIn(refused.returncode, (0, 1))
            self.drain(broker)
            self.sends_succeed_again(broker)
            self.drain(broker)
            self.assertEqual(0, broker.stop())

    def test_killed_while_full_it_starts_again_and_drains(self):
        for limit in ("1GiB", "32MiB"):
            with self.subTest(limit=limit):
                self.setUp()
                with self.open("--max-disk", limit) as broker:
                    broker.command("queue", "create", "work")
                    self.fill(broker)
                    broker.kill()
                with self.open("--max-disk", limit) as broker:
                    self.assertEqual((len(self.kept), 0, 0), broker.counters("work"))
                    self.drain(broker)
                    self.sends_succeed_again(broker)
                    self.assertEqual(0, broker.stop())
                with self.open("--max-disk", limit) as broker:
                    self.drain(broker)
                shutil.rmtree(self.folder)

    def test_killed_past_max_disk_again_and_again_it_starts_and_drains(self):
        with self.open("--max-disk", "32MiB") as broker:
            broker.command("queue", "create", "work")
            self.fill(broker)
            broker.kill()
        for _ in range(3):
            with self.open("--max-disk", "32MiB") as broker:
                self.assertEqual((len(self.kept), 0, 0), broker.counters("work"))
                self.take(broker, len(self.kept) // 4)
                broker.kill()
        with self.open("--max-disk", "32MiB") as broker:
            self.drain(broker)
            self.sends_succeed_again(broker)
            self.drain(broker)

    def test_a_start_that_finds_no_room_for_one_segment_loses_nothing(self):
        """Each start after a kill re-homes the log's tail to a spare file. If kills have used up the spares
        and no other can be made, the start is refused in one line until there is room for one."""
        for part in (0, 0.02, 0.5):
            with self.subTest(acknowledged_before_the_kill=part):
                self.setUp()
                room = os.path.join(self.folder, "room")
                with open(room, "wb") as file:
                    file.write(bytes(6 << 20))
                with self.open("--max-disk", "1GiB") as broker:
                    broker.command("queue", "create", "work")
                    self.fill(broker)
                    self.take_what_is_left()
                    self.take(broker, int(len(self.kept) * part))
                    broker.kill()
                for _ in range(3):
                    self.start_or_refusal()
                os.remove(room)
                with self.open("--max-disk", "1GiB") as broker:
                    self.assertEqual((len(self.kept), 0, 0), broker.counters("work"))
                    self.drain(broker)
                    self.sends_succeed_again(broker)
                    self.drain(broker)
                    self.assertEqual(0, broker.stop())
                shutil.rmtree(self.folder)

    def start_or_refusal(self):
        try:
            with self.open("--max-disk", "1GiB") as broker:
                self.assertEqual((len(self.kept), 0, 0), broker.counters("work"))
                broker.kill()
        except Failed:
            code, errors = start_refused(self.data, *FLAGS)
            self.assertEqual((1, 1), (code, len(errors.splitlines())), errors)
            self.assertRegex(errors, "shard-0.*space")

    def test_stopped_while_full_it_starts_again_and_drains(self):
        with self.open("--max-disk", "1GiB") as broker:
            broker.command("queue", "create", "work")
            self.fill(broker)
            self.take_what_is_left()
            self.assertEqual(0, broker.stop())
        with self.open("--max-disk", "1GiB") as broker:
            self.assertEqual((len(self.kept), 0, 0), broker.counters("work"))
            self.drain(broker)
            self.sends_succeed_again(broker)
            self.drain(broker)

    def test_a_first_start_on_a_full_disk_is_refused_in_one_line(self):
        self.take_what_is_left()
        code, errors = start_refused(self.data, *FLAGS)
        self.assertEqual((1, 1), (code, len(errors.splitlines())), errors)
        os.remove(os.path.join(self.folder, "filler"))
        with self.open() as broker:
            broker.command("queue", "create", "work")
            self.assertTrue(self.send(broker, 1, 200))
            self.drain(broker)


def main():
    """Runs itself once more inside a mount namespace, where it mounts the disk."""
    global DISK
    if os.environ.pop("MILLRACE_TEST_DISK", None) is None:
        environment = {**os.environ, "MILLRACE_TEST_DISK": "1"}
        again = [sys.executable, "-B", os.path.abspath(__file__), *sys.argv[1:]]
        how = ["unshare", "--mount", "--propagation", "private"]
        for words in (how, how + ["--user", "--map-root-user"]):
            probe = words + ["mount", "-t", "tmpfs", "-o", "size=64m", "none", tempfile.gettempdir()]
            if shutil.which("unshare") and subprocess.run(probe, capture_output=True,
                                                          check=False).returncode == 0:
                return subprocess.run(words + again, env=environment, check=False).returncode
        print("skipped: no tmpfs can be mounted here; this needs root or user namespaces")
        return SKIPPED
    with tempfile.TemporaryDirectory(prefix="millrace-full-disk-") as DISK:
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "none", DISK], check=True)
        try:
            programs.use_programs(*sys.argv[1:3])
            return not unittest.main(argv=sys.argv[:1], exit=False).result.wasSuccessful()
        finally:
            subprocess.run(["umount", DISK], check=True)


if __name__ == "__main__":
    sys.exit(main())
