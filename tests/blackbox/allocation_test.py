"""Memory that cannot be had, at the Nth allocation of a start, of work and of a stop, once and for good.

Whatever it hits: an error answer and the server goes on, or it ends with one line and exit code 71 (a start that is refused:
1). Never a crash, and the next start has all that was acknowledged. Arguments: fault_preload.so, millraced, millrace; how
many N in MILLRACE_ALLOCATIONS, spread over 1 to 2000, or all from MILLRACE_ALLOCATIONS_FROM on; which one in MILLRACE_NTH.
"""

import contextlib
import http.client
import json
import os
import signal
import sys
import tempfile
import unittest

import broker as programs
from broker import Broker, NotStarted
from faults import MALLOC, MAP, OPERATOR_NEW, Faults

COUNT = int(os.environ.get("MILLRACE_ALLOCATIONS", "3"))
NTH_MAX = 2000
REQUESTS_MAX = 400  # of one N, while it is waited for
RESTART_EVERY = 25
EXIT_REFUSED, EXIT_MEMORY = 1, 71
KINDS = {"new": OPERATOR_NEW, "malloc": MALLOC, "mmap": MAP}
FLAGS = ("--shards", "2", "--segment-size", "4MiB", "--log-level", "error")
PRELOAD = ""


def numbers():
    """So many in a row, or spread over 1 to 2000 as evenly as their logarithms."""
    if "MILLRACE_NTH" in os.environ:
        return [int(os.environ["MILLRACE_NTH"])]
    if "MILLRACE_ALLOCATIONS_FROM" in os.environ:
        first = int(os.environ["MILLRACE_ALLOCATIONS_FROM"])
        return list(range(first, first + COUNT))
    return sorted({round(NTH_MAX ** (i / max(1, COUNT - 1))) for i in range(COUNT)})


class Client:
    """Sends, receives and deletes over one HTTP connection; knows what was acknowledged."""

    def __init__(self):
        self.sent = 0
        self.kept = set()      # acknowledged, not deleted
        self.doubtful = set()  # a send or a deletion that got no answer, or an error
        self.connection = None

    def connect(self, address):
        host, port = address.rsplit(":", 1)
        self.connection = http.client.HTTPConnection(host, int(port), timeout=30)

    def ask(self, action, **fields):
        """The answer, or None if there was none or it was an error."""
        try:
            self.connection.request("POST", "/", json.dumps({"QueueUrl": "http://x/000000000000/work", **fields}).encode(),
                                    {"X-Amz-Target": f"AmazonSQS.{action}", "Content-Type": "application/x-amz-json-1.0"})
            answer = self.connection.getresponse()
            body = answer.read()
            return None if answer.status != 200 else json.loads(body) if body else {}
        except (OSError, http.client.HTTPException):
            self.connection.close()
            return None

    def send(self):
        names = [f"m-{self.sent + i}" for i in range(3)]
        self.sent += len(names)
        answer = self.ask("SendMessageBatch", Entries=[
            {"Id": str(i), "MessageBody": name.ljust(300, ".")} for i, name in enumerate(names)])
        taken = {int(one["Id"]) for one in (answer or {}).get("Successful", [])}
        for i, name in enumerate(names):
            (self.kept if i in taken else self.doubtful).add(name)

    def take(self):
        # Not hidden: what is not deleted is in the queue when it is looked at.
        got = (self.ask("ReceiveMessage", MaxNumberOfMessages=2, VisibilityTimeout=0) or {}).get("Messages", [])
        for message in got:
            name = message["Body"].rstrip(".")
            self.kept.discard(name)
            self.doubtful.discard(name)
            if self.ask("DeleteMessage", ReceiptHandle=message["ReceiptHandle"]) is None:
                self.doubtful.add(name)

    def check(self, found):
        """Of what is in the queue after a start: all that was acknowledged, nothing that nobody sent, nothing deleted."""
        names = [body.rstrip(".") for body in found]
        missing = self.kept - set(names)
        strange = set(names) - self.kept - self.doubtful
        self.kept, self.doubtful = set(), set()
        if missing:
            return f"acknowledged and lost: {sorted(missing)[:5]}"
        return f"deleted and back, or never sent: {sorted(strange)[:5]}" if strange else ""


class Allocations(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="millrace-allocations-")
        self.addCleanup(self.folder.cleanup)
        self.faults = Faults(PRELOAD)
        self.addCleanup(self.faults.__exit__)
        self.client = Client()
        self.now = "before any"

    def open(self, *flags):
        return Broker(os.path.join(self.folder.name, "data"), *FLAGS, *flags, http="127.0.0.1:0",
                      environment=self.faults.environment())

    def ended_in_order(self, code, errors, allowed):
        lines = errors.splitlines()
        self.assertIn(code, allowed, f"{self.now}: {errors}")
        self.assertTrue(len(lines) == 1 and lines[0].startswith("millraced: "), f"{self.now}: exit {code}: {errors!r}")

    def start_is_whole(self):
        """With memory again it starts, and has what was acknowledged."""
        self.faults.disarm()
        with self.open() as broker:
            wrong = self.client.check(broker.drain("work"))
            self.assertEqual("", wrong, self.now)
            self.assertEqual(0, broker.stop())

    def fill(self):
        with self.open() as broker:
            broker.command("queue", "create", "work")
            self.client.connect(broker.http)
            for _ in range(20):
                self.client.send()
                self.client.take()
            broker.kill()

    def each(self):
        for kind, bits in KINDS.items():
            for for_ever in (False, True):
                for nth in numbers():
                    self.now = f"MILLRACE_NTH={nth} ({kind}, {'for good' if for_ever else 'once'})"
                    yield bits, for_ever, nth
                    if self.faults.failed() == 0:
                        break  # there are no more

    def test_a_start(self):
        self.fill()
        refused = started = 0
        for bits, for_ever, nth in self.each():
            self.faults.arm(nth, bits, for_ever)
            broker = None
            try:
                broker = self.open()
            except NotStarted as end:
                refused += 1
                self.ended_in_order(end.code, end.log, (EXIT_REFUSED, EXIT_MEMORY))
            if broker is not None:
                with broker:
                    started += 1
                    self.faults.disarm()
                    broker.kill()
        self.start_is_whole()
        print(f"{refused} starts ended, {started} went on, 0 violations", flush=True)

    def test_work(self):
        self.fill()
        ended = answered = since_restart = 0
        broker = self.open()
        with contextlib.ExitStack() as stack:
            stack.callback(lambda: broker.__exit__())
            self.client.connect(broker.http)
            for bits, for_ever, nth in self.each():
                self.faults.arm(nth, bits, for_ever)
                for n in range(REQUESTS_MAX):
                    self.client.send()
                    self.client.take()
                    if n % 20 == 19:
                        broker.try_command("queue", "list")
                    if self.faults.failed() or not broker.running():
                        break
                failed = self.faults.failed()
                self.faults.disarm()
                for _ in range(3):
                    self.client.send()
                since_restart += 1
                if broker.running() and since_restart < RESTART_EVERY:
                    answered += failed > 0
                    continue
                since_restart = 0
                if not broker.running():
                    ended += 1
                    self.ended_in_order(broker.process.wait(30), broker.log(), (EXIT_MEMORY,))
                else:
                    broker.kill()
                broker.__exit__()
                self.start_is_whole()
                broker = self.open()
                self.client.connect(broker.http)
            broker.kill()
        self.start_is_whole()
        print(f"{ended} servers ended, {answered} failures answered, 0 violations", flush=True)

    def test_a_stop(self):
        self.fill()
        stops = 0
        for bits, for_ever, nth in self.each():
            with self.open() as broker:
                self.client.connect(broker.http)
                self.client.send()
                self.client.connection.close()
                self.faults.arm(nth, bits, for_ever)
                code = broker.stop()
                self.faults.disarm()
                stops += 1
                if code != 0:
                    self.ended_in_order(code, broker.log(), (EXIT_REFUSED, EXIT_MEMORY))
        self.start_is_whole()
        print(f"{stops} stops, 0 violations", flush=True)


if __name__ == "__main__":
    PRELOAD = sys.argv[1]
    programs.use_programs(*sys.argv[2:4])
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    unittest.main(argv=sys.argv[:1])
