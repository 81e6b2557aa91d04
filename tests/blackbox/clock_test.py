"""Server time on the real server: wall clocks that jump by an hour and by 400 days, both ways, while it runs and while it
does not, and a server that is stopped (SIGSTOP) for a while.

A lease, a delay and what is remembered of a deduplication id last as long as they should; nothing is lost, nothing ages out
by a jump. Arguments: fault_preload.so, millraced, millrace; for how long it is stopped in MILLRACE_STOP_SECONDS (3).
"""

import os
import signal
import sys
import tempfile
import time
import unittest

import broker as programs
from broker import Broker
from faults import Faults

HOUR = 3_600_000
DAY = 24 * HOUR
JUMPS = (HOUR, -HOUR, 400 * DAY, -400 * DAY)
LEASE_SECONDS = 1.5
STOP_SECONDS = float(os.environ.get("MILLRACE_STOP_SECONDS", "3"))
LONG_SECONDS = 3600
WAIT_SECONDS_MAX = 20
FLAGS = ("--shards", "2", "--segment-size", "4MiB", "--durability", "none")
PRELOAD = ""


def bodies(messages):
    return sorted(message["body"] for message in messages)


class Clocks(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="millrace-clock-")
        self.addCleanup(self.folder.cleanup)
        self.faults = Faults(PRELOAD)
        self.addCleanup(self.faults.__exit__)

    def open(self, *flags):
        return Broker(os.path.join(self.folder.name, "data"), *FLAGS, *flags, environment=self.faults.environment())

    def make(self, broker):
        broker.command("queue", "create", "work", "--set", "MessageRetentionPeriod=3600")
        broker.command("queue", "create", "once.fifo", "--fifo")

    def receive(self, broker, seconds, queue="work"):
        return broker.command("receive", queue, "--max", "100", "--visibility", str(seconds))

    def send_once(self, broker):
        broker.command("send", "once.fifo", "body", "--group", "g", "--dedup", "id")

    def wait_for(self, broker, count, seconds=0, queue="work"):
        deadline = time.monotonic() + WAIT_SECONDS_MAX
        got = []
        while len(got) < count and time.monotonic() < deadline:
            got += self.receive(broker, seconds or LONG_SECONDS, queue)
            time.sleep(0.05)
        return got

    def acknowledge(self, broker, messages):
        for message in messages:
            broker.command("ack", "work", message["receipt"])

    def test_a_jump_while_it_runs_moves_nothing(self):
        with self.open() as broker:
            self.make(broker)
            self.send_once(broker)
            shift = 0
            for jump in JUMPS:
                with self.subTest(hours=jump // HOUR):
                    begin = time.monotonic()
                    broker.command("send", "work", "leased")
                    self.assertEqual(["leased"], bodies(self.receive(broker, LEASE_SECONDS)))
                    broker.command("send", "work", "delayed", "--delay", str(LEASE_SECONDS))
                    shift += jump
                    self.faults.shift_wall(shift)
                    got = self.receive(broker, LONG_SECONDS)
                    if time.monotonic() - begin < LEASE_SECONDS:
                        self.assertEqual([], got)
                    self.assertEqual(2, sum(broker.counters("work")))  # retention is an hour
                    got += self.wait_for(broker, 2 - len(got))
                    self.assertEqual(["delayed", "leased"], bodies(got))
                    self.assertGreaterEqual(time.monotonic() - begin, LEASE_SECONDS)
                    self.acknowledge(broker, got)
                    self.send_once(broker)  # within five minutes
                    self.assertEqual(1, sum(broker.counters("once.fifo")))
            self.assertEqual(0, broker.stop())

    def restart(self, broker, kill):
        if kill:
            broker.kill()
        else:
            self.assertEqual(0, broker.stop())

    def test_a_wall_that_went_back_between_two_lives(self):
        shift = 0
        with self.open() as broker:
            self.make(broker)
            broker.stop()
        for kill in (False, True):
            for jump in (-HOUR, -400 * DAY):
                with self.subTest(hours=jump // HOUR, kill=kill):
                    with self.open() as broker:
                        broker.command("send", "work", "leased")
                        leased = self.receive(broker, LONG_SECONDS)
                        broker.command("send", "work", "delayed", "--delay", "900")
                        broker.command("send", "work", "ready")
                        self.send_once(broker)
                        self.restart(broker, kill)
                    shift += jump
                    self.faults.shift_wall(shift)
                    with self.open() as broker:
                        self.assertEqual((1, 1, 1), broker.counters("work"))
                        got = self.receive(broker, LONG_SECONDS)
                        self.assertEqual(["ready"], bodies(got))
                        self.acknowledge(broker, leased + got)
                        self.send_once(broker)
                        self.assertEqual(1, sum(broker.counters("once.fifo")))
                        broker.command("queue", "purge", "work")
                        broker.stop()

    def test_a_wall_an_hour_ahead_after_a_restart_is_followed(self):
        with self.open() as broker:
            self.make(broker)
            broker.command("send", "work", "old")
            broker.command("queue", "create", "kept")
            broker.command("send", "kept", "leased")
            self.receive(broker, LONG_SECONDS - 60, "kept")
            broker.command("send", "kept", "delayed", "--delay", "900")
            self.send_once(broker)
            broker.kill()
        self.faults.shift_wall(HOUR + 1000)
        with self.open() as broker:
            self.assertEqual(["delayed", "leased"], bodies(self.wait_for(broker, 2, queue="kept")))
            self.assertEqual([], self.receive(broker, 1))
            self.send_once(broker)  # five minutes are over
            self.assertEqual(2, sum(broker.counters("once.fifo")))
            broker.stop()

    def test_a_wall_400_days_ahead_after_a_restart_deletes_nothing_unless_it_is_said_to_be_right(self):
        with self.open() as broker:
            self.make(broker)
            broker.command("send", "work", "old")
            broker.command("send", "work", "leased")
            broker.kill()
        self.faults.shift_wall(400 * DAY)
        for kill in (True, False):
            with self.open() as broker:
                self.assertIn("messages age out again in 24 hours", broker.log())
                self.assertEqual(2, sum(broker.counters("work")))
                self.restart(broker, kill)
        with self.open("--accept-clock") as broker:
            self.assertEqual([], self.receive(broker, 1))
            self.assertEqual(0, sum(broker.counters("work")))
            broker.stop()

    def test_a_server_that_stands_still_loses_nothing_and_ends_only_what_is_over(self):
        with self.open() as broker:
            self.make(broker)
            broker.command("send", "work", "short")
            self.receive(broker, STOP_SECONDS / 2)
            broker.command("send", "work", "long")
            long_lease = self.receive(broker, STOP_SECONDS + LONG_SECONDS)
            self.assertEqual(["long"], bodies(long_lease))
            broker.command("send", "work", "delayed", "--delay", str(STOP_SECONDS / 2))
            broker.command("send", "work", "later", "--delay", str(int(STOP_SECONDS) + 600))
            self.send_once(broker)
            self.assertEqual((0, 2, 2), broker.counters("work"))
            broker.process.send_signal(signal.SIGSTOP)
            time.sleep(STOP_SECONDS)
            broker.process.send_signal(signal.SIGCONT)
            got = self.wait_for(broker, 2)
            self.assertEqual(["delayed", "short"], bodies(got))
            self.assertEqual((0, 3, 1), broker.counters("work"))
            self.acknowledge(broker, got + long_lease)  # its receipt is as good as before
            self.assertEqual((0, 0, 1), broker.counters("work"))
            self.send_once(broker)
            self.assertEqual(1, sum(broker.counters("once.fifo")))
            broker.command("send", "work", "new")
            self.assertEqual(["new"], bodies(self.receive(broker, 1)))
            self.assertEqual(0, broker.stop())
        print(f"1 stop of {STOP_SECONDS:.0f} seconds, {len(JUMPS)} jumps, 0 violations", flush=True)


if __name__ == "__main__":
    PRELOAD = sys.argv[1]
    programs.use_programs(*sys.argv[2:4])
    unittest.main(argv=sys.argv[:1])
