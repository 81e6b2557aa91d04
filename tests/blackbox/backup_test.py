"""Backups of a server under load from both protocols, restored and compared with what its clients were told;
servers and commands killed in the middle; copies that were damaged since. Arguments: millraced, millrace.
"""

import http.client
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import broker as programs
from broker import Broker, millrace

FLAGS = ("--shards", "2", "--segment-size", "4MiB")
BACKUPS = int(os.environ.get("MILLRACE_BACKUPS", "3"))
SECONDS_BETWEEN = 0.3
WAIT_SECONDS_MAX = 30
BODY_BYTES = 2000
BACKLOG = 400  # messages: a look into a queue shows a thousand


class Told:
    """What clients asked of one queue and what was acknowledged, as sets of bodies."""

    def __init__(self):
        self.lock = threading.Lock()
        self.asked, self.sent, self.deleting, self.deleted = set(), set(), set(), set()

    def note(self, which, bodies):
        with self.lock:
            getattr(self, which).update(bodies)

    def grows(self):
        with self.lock:
            return len(self.sent) - len(self.deleted) < BACKLOG

    def snapshot(self):
        with self.lock:
            return {name: set(getattr(self, name)) for name in ("asked", "sent", "deleting", "deleted")}


class Load:
    """A thread for each protocol, sending to, receiving and deleting from a queue of its own."""

    def __init__(self, broker):
        self.broker = broker
        self.told = {"binary": Told(), "http.fifo": Told()}
        self.failures, self.ending = [], threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(work,)) for work in (self.binary, self.http)]
        for thread in self.threads:
            thread.start()

    def run(self, work):
        try:
            for turn in range(1_000_000):
                if self.ending.is_set():
                    return
                work(turn)
        except Exception as error:  # pylint: disable=broad-except
            self.failures.append(repr(error))

    def stop(self):
        self.ending.set()
        for thread in self.threads:
            thread.join(WAIT_SECONDS_MAX)
        return self.failures

    def binary(self, turn):
        told = self.told["binary"]
        bodies = [f"b{turn}-{i} ".ljust(BODY_BYTES, "x") for i in range(100)]
        told.note("asked", bodies)
        self.broker.command("send", "binary", "--lines", stdin="\n".join(bodies).encode())
        told.note("sent", bodies)
        got = self.broker.command("receive", "binary", "--max", "60" if told.grows() else "150", "--visibility", "600")
        told.note("deleting", [m["body"] for m in got])
        if got:
            self.broker.command("ack", "binary", *[m["receipt"] for m in got])
        told.note("deleted", [m["body"] for m in got])

    def call(self, connection, action, **members):
        members["QueueUrl"] = "/000000000000/http.fifo"
        connection.request("POST", "/", json.dumps(members), {
            "Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": f"AmazonSQS.{action}"})
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise programs.Failed(f"{action}: {answer.status} {text[:300]}")
        return json.loads(text)

    def http(self, turn):
        told = self.told["http.fifo"]
        connection = http.client.HTTPConnection(self.broker.http, timeout=WAIT_SECONDS_MAX)
        for step in range(20):
            bodies = [f"h{turn}-{step}-{i}" for i in range(10 if told.grows() else 5)]
            told.note("asked", bodies)
            sent = self.call(connection, "SendMessageBatch", Entries=[
                {"Id": str(i), "MessageBody": body, "MessageGroupId": f"g{i % 3}", "MessageDeduplicationId": body}
                for i, body in enumerate(bodies)])
            told.note("sent", [bodies[int(one["Id"])] for one in sent["Successful"]])
            got = self.call(connection, "ReceiveMessage", MaxNumberOfMessages=6 if told.grows() else 10,
                            VisibilityTimeout=600).get("Messages", [])
            told.note("deleting", [m["Body"] for m in got])
            if got:
                done = self.call(connection, "DeleteMessageBatch", Entries=[
                    {"Id": str(i), "ReceiptHandle": m["ReceiptHandle"]} for i, m in enumerate(got)])
                told.note("deleted", [got[int(one["Id"])]["Body"] for one in done["Successful"]])
        connection.close()


class Backup(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="millrace-backup-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.data = self.path("data")

    def path(self, name):
        return os.path.join(self.folder, name)

    def refused(self, *words, server="", says):
        """Exit 1 and one line that says so."""
        ended = millrace(*words, server=server)
        errors = ended.stderr.decode()
        self.assertEqual((1, b"", 1), (ended.returncode, ended.stdout, errors.count("\n")), errors)
        self.assertIn(says, errors)

    def restore(self, copy, data):
        ended = millrace("--json", "restore", copy, data)
        self.assertEqual((0, b""), (ended.returncode, ended.stderr), ended.stderr.decode())
        return json.loads(ended.stdout)

    def fill(self, broker, queue="big", mebibytes=24):
        lines = "\n".join("y" * 10_000 for _ in range(100)).encode()
        broker.command("queue", "create", queue)
        for _ in range(mebibytes):
            broker.command("send", queue, "--lines", stdin=lines)
        return mebibytes * 100

    def test_copies_of_a_busy_server_hold_what_was_acknowledged(self):
        taken = []
        with Broker(self.data, *FLAGS, http="127.0.0.1:0") as broker:
            broker.command("queue", "create", "binary")
            broker.command("queue", "create", "http.fifo", "--fifo", "--set", "DeduplicationScope=messageGroup",
                           "--set", "FifoThroughputLimit=perMessageGroupId")
            load = Load(broker)
            try:
                for n in range(BACKUPS):
                    time.sleep(SECONDS_BETWEEN)
                    before = {queue: told.snapshot() for queue, told in load.told.items()}
                    said = broker.command("backup", self.path(f"copy-{n}"))[0]
                    after = {queue: told.snapshot() for queue, told in load.told.items()}
                    taken.append((before, after))
                    self.assertEqual((2, 0), (said["shards"], said["damaged_bytes"]))
            finally:
                failures = load.stop()
            self.assertEqual([], failures)
            self.assertEqual(0, broker.stop(), broker.log())
        messages = 0
        for n, (before, after) in enumerate(taken):
            self.restore(self.path(f"copy-{n}"), self.path(f"data-{n}"))
            with Broker(self.path(f"data-{n}")) as broker:
                for queue, known in before.items():
                    # What was leased when the copy was taken is leased still, and its group waits behind it.
                    seen = {m["body"] for m in broker.command("peek", queue, "--max", "1000")}
                    drained = broker.drain(queue)
                    messages += len(drained)
                    self.assertEqual(len(drained), len(set(drained)), "each message once")
                    there = set(drained) | seen
                    later = after[queue]
                    self.assertEqual(set(), known["sent"] - later["deleting"] - there, "what was acknowledged is there")
                    self.assertEqual(set(), there & known["deleted"], "what was deleted is gone")
                    self.assertEqual(set(), there - later["asked"], "nothing is invented")
                self.assertEqual(0, broker.stop(), broker.log())
            shutil.rmtree(self.path(f"data-{n}"))
        self.assertGreater(messages, 0)
        print(f"{BACKUPS} backups, {messages} messages found, 0 violations", flush=True)

    def test_receipts_and_ids_of_the_other_life_name_nothing_of_this_one(self):
        with Broker(self.data, *FLAGS) as broker:
            broker.command("queue", "create", "q")
            broker.command("send", "q", "old")
            old = broker.command("receive", "q", "--visibility", "600")[0]
            broker.command("backup", self.path("copy"))
            late = broker.command("send", "q", "late")[0]
            receipt = broker.command("receive", "q", "--visibility", "600")[0]["receipt"]
        self.restore(self.path("copy"), self.path("new"))
        with Broker(self.path("new")) as broker:
            # Given before the copy was taken: good here, too.
            self.assertEqual((0, 1, 0), broker.counters("q"))
            broker.command("ack", "q", old["receipt"])
            self.assertEqual((0, 0, 0), broker.counters("q"))
            new = broker.command("send", "q", "new")[0]
            self.assertNotEqual(late["ids"], new["ids"])
            self.assertEqual("new", broker.command("receive", "q", "--visibility", "0")[0]["body"])
            broker.try_command("ack", "q", receipt)
            self.assertEqual(["new"], broker.drain("q"))

    def test_a_server_killed_meanwhile_leaves_no_copy_and_loses_nothing(self):
        copy = self.path("copy")
        with Broker(self.data, *FLAGS) as broker:
            count = self.fill(broker)
            backup = subprocess.Popen([programs.MILLRACE, "--server", broker.server, "backup", copy],
                                      stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            deadline = time.monotonic() + WAIT_SECONDS_MAX
            while not os.path.exists(os.path.join(copy, "shard-0")) and time.monotonic() < deadline:
                time.sleep(0.0005)
            broker.kill()
            said, errors = backup.communicate(timeout=WAIT_SECONDS_MAX)
        whole = os.path.exists(os.path.join(copy, "manifest"))
        self.assertEqual((0, b"") if whole else (1, b""), (backup.returncode, b"" if whole else said), errors)
        self.assertEqual(0 if whole else 1, errors.count(b"\n"))
        if not whole:
            self.refused("restore", copy, "--check", says="it has no manifest")
        with Broker(self.data) as broker:
            self.assertEqual((count, 0, 0), broker.counters("big"))
            broker.command("backup", self.path("another"))

    def test_a_command_that_is_killed_leaves_nothing_held(self):
        copy = self.path("copy")
        with Broker(self.data, *FLAGS) as broker:
            self.fill(broker)
            backup = subprocess.Popen([programs.MILLRACE, "--server", broker.server, "backup", copy],
                                      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            deadline = time.monotonic() + WAIT_SECONDS_MAX
            while not os.path.exists(os.path.join(copy, "shard-0")) and time.monotonic() < deadline:
                time.sleep(0.0005)
            backup.kill()
            backup.wait(WAIT_SECONDS_MAX)
            # The next one is let in as soon as the server has seen the connection end.
            for tries in range(100):
                ended = broker.try_command("backup", self.path(f"next-{tries}"))
                if ended.returncode == 0:
                    break
                self.assertIn("one may be at a time", ended.stderr.decode())
                time.sleep(0.05)
            self.assertEqual(0, ended.returncode, ended.stderr)
            self.restore(self.path(f"next-{tries}"), self.path("new"))

    def test_a_copy_is_taken_only_to_a_new_place_and_restored_only_whole(self):
        copy, new = self.path("copy"), self.path("new")
        with Broker(self.data, *FLAGS) as broker:
            self.fill(broker, mebibytes=1)
            os.mkdir(self.path("full"))
            with open(self.path("full/x"), "wb"):
                pass
            self.refused("backup", self.path("full"), server=broker.server, says="is not empty")
            os.symlink(self.path("nowhere"), self.path("link"))
            self.refused("backup", self.path("link"), server=broker.server, says="no directory")
            self.refused("backup", self.path("no/such"), server=broker.server, says="no/such")
            broker.command("backup", copy)
            self.refused("backup", copy, server=broker.server, says="is not empty")
        self.assertEqual(0o700, os.stat(copy).st_mode & 0o777)
        files = [os.path.join(place, name) for place, _, names in os.walk(copy) for name in names]
        self.assertEqual({0o600}, {os.stat(file).st_mode & 0o777 for file in files})
        self.assertEqual(2, millrace("restore", copy).returncode)
        self.assertEqual(2, millrace("restore", copy, new, "--check").returncode)
        self.assertEqual(0, millrace("restore", copy, "--check").returncode)
        self.refused("restore", copy, self.path("full"), says="is not empty")
        for file in files:
            with open(file, "rb") as opened:
                good = opened.read()
            flipped = bytearray(good)
            flipped[len(good) // 2] ^= 4
            for what, bad in (("flipped", bytes(flipped)), ("cut", good[:-8]), ("longer", good + b"\n"), ("empty", b"")):
                with self.subTest(file=os.path.relpath(file, copy), what=what):
                    with open(file, "wb") as opened:
                        opened.write(bad)
                    self.refused("restore", copy, "--check", says="copy")
                    self.refused("restore", copy, new, says="copy")
            os.unlink(file)
            self.refused("restore", copy, new, says="copy")
            os.symlink(self.path("full/x"), file)
            self.refused("restore", copy, new, says="copy")
            os.unlink(file)
            with open(file, "wb") as opened:
                opened.write(good)
            self.assertFalse(os.path.exists(new) or os.path.exists(new + ".restoring"))
        # What an interrupted restore left is never gone on with.
        os.mkdir(new + ".restoring")
        with open(new + ".restoring/x", "wb"):
            pass
        self.refused("restore", copy, new, says="is not empty")
        shutil.rmtree(new + ".restoring")
        os.mkdir(new)
        said = self.restore(copy, new)
        self.assertEqual((2, 0), (said["shards"], said["damaged_bytes"]))
        with Broker(new) as broker:
            self.assertEqual((100, 0, 0), broker.counters("big"))


if __name__ == "__main__":
    programs.use_programs(*sys.argv[1:3])
    del sys.argv[1:3]
    unittest.main()
