"""More load than the server can serve, and a disk that is too slow for any: it stays, and says so.

Nobody waits until a time runs out: who sends is slowed down by its sockets, or is refused with an answer that tells it to
try again. What was taken is there, what was refused is not. Arguments: fault_preload.so, millraced, millrace, millrace-bench.
"""

import concurrent.futures
import contextlib
import http.client
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import broker as programs
from broker import Broker
from faults import Faults

TIMES_TOO_MUCH = 4
FULL_SECONDS = 2
LOAD_SECONDS = 4
REQUEST_SECONDS_MAX = 30  # later is a timeout
SLOW_SYNC_SECONDS = 60    # until the test ends it
REFUSED_SECONDS_MAX = 20
SENDS = 100
FLAGS = ("--shards", "1", "--segment-size", "16MiB", "--log-level", "warn")
PRELOAD = BENCH = ""


class Client:
    """One HTTP connection that does not pipeline."""

    def __init__(self, broker, seconds_max=REQUEST_SECONDS_MAX):
        host, port = broker.http.rsplit(":", 1)
        self.connection = http.client.HTTPConnection(host, int(port), timeout=seconds_max)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.close()

    def ask(self, action, **fields):
        """(status, answer). A timeout is an OSError."""
        self.connection.request("POST", "/", json.dumps({"QueueUrl": "http://x/000000000000/work", **fields}).encode(),
                                {"X-Amz-Target": f"AmazonSQS.{action}", "Content-Type": "application/x-amz-json-1.0"})
        answer = self.connection.getresponse()
        body = answer.read()
        return answer.status, json.loads(body) if body else {}


class Overload(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="millrace-overload-")
        self.addCleanup(self.folder.cleanup)
        self.faults = Faults(PRELOAD)
        self.addCleanup(self.faults.__exit__)

    def open(self):
        return Broker(os.path.join(self.folder.name, "data"), *FLAGS, http="127.0.0.1:0",
                      environment=self.faults.environment())

    def bench(self, broker, *flags):
        """What it printed as JSON; it checks every message itself."""
        ended = subprocess.run([BENCH, "--server", broker.server, "--json", "-", *flags], capture_output=True,
                               timeout=120, check=False)
        self.assertEqual(0, ended.returncode, ended.stderr.decode())
        figures = json.loads(ended.stdout.splitlines()[-1])
        self.assertEqual((0, 0), (figures["lost"], figures["duplicates"]))
        return figures

    def test_four_times_the_load(self):
        with self.open() as broker:
            broker.command("queue", "create", "work")
            full = self.bench(broker, "--workload", "e2e", "--batch", "10", "--connections", "16", "--seconds",
                              str(FULL_SECONDS))
            asked = int(TIMES_TOO_MUCH * full["messages"] / FULL_SECONDS)
            over, served = threading.Event(), []

            def others():
                with Client(broker) as client:
                    while not over.is_set():
                        served.append(client.ask("SendMessage", MessageBody="among the rest")[0])

            with concurrent.futures.ThreadPoolExecutor() as pool:
                waiting = pool.submit(others)
                got = self.bench(broker, "--workload", "latency", "--rate", str(asked), "--batch", "10", "--connections",
                                 "16", "--seconds", str(LOAD_SECONDS))
                over.set()
                waiting.result()  # a timeout is raised here
            self.assertTrue(broker.running(), broker.log())
            self.assertLess(got["messages"], asked * LOAD_SECONDS, "that was not too much")
            self.assertLessEqual(set(served), {200, 503})
            taken = served.count(200)
            found = len(broker.drain("work"))
            self.assertEqual(taken, found)
            self.assertEqual(0, broker.stop())
            print(f"{asked} messages a second asked for, {got['messages'] // LOAD_SECONDS} carried; beside it {taken} sends "
                  f"taken, {len(served) - taken} refused, 0 timeouts", flush=True)

    def test_a_disk_that_does_not_get_on(self):
        with self.open() as broker, Client(broker) as client, concurrent.futures.ThreadPoolExecutor() as pool:
            broker.command("queue", "create", "work")
            self.assertEqual(200, client.ask("SendMessage", MessageBody="before")[0])
            message = client.ask("ReceiveMessage", VisibilityTimeout=600)[1]["Messages"][0]

            self.faults.slow_syncs(SLOW_SYNC_SECONDS)
            # Nobody knows yet that the disk is slow: what is sent now waits for it.
            waiting = pool.submit(self.ask_once, broker, "SendMessage", MessageBody="waited")
            self.wait_until_refused(broker)
            for _ in range(SENDS):
                self.assert_refused(client.ask("SendMessage", MessageBody="refused"))
            # What ends a message or asks for one is never refused for it. A deletion is answered when it is on the disk.
            deletion = pool.submit(self.ask_once, broker, "DeleteMessage", ReceiptHandle=message["ReceiptHandle"])
            self.assertEqual((200, {}), client.ask("ReceiveMessage"))
            self.faults.slow_syncs(0)
            self.assertEqual(200, deletion.result()[0])
            self.assertEqual(200, waiting.result()[0])
            self.assertEqual(200, client.ask("SendMessage", MessageBody="after")[0])
            found = [body for body in broker.drain("work") if body != "in doubt"]
            self.assertEqual(["after", "waited"], sorted(found))
            self.assertEqual(0, broker.stop())

    @staticmethod
    def ask_once(broker, action, **fields):
        with Client(broker) as client:
            return client.ask(action, **fields)

    def assert_refused(self, answer):
        status, error = answer
        self.assertEqual((503, "ServiceUnavailable"), (status, error.get("__type", "").split("#")[-1]))

    def wait_until_refused(self, broker):
        """Sends and hangs up, until a send is answered at once: refused."""
        deadline = time.monotonic() + REFUSED_SECONDS_MAX
        while time.monotonic() < deadline:
            with Client(broker, seconds_max=0.5) as client, contextlib.suppress(TimeoutError):
                self.assert_refused(client.ask("SendMessage", MessageBody="in doubt"))
                return
        self.fail("no send was refused while the disk did nothing")


if __name__ == "__main__":
    PRELOAD, BENCH = sys.argv[1], os.path.abspath(sys.argv[4])
    programs.use_programs(*sys.argv[2:4])
    unittest.main(argv=sys.argv[:1])
