"""A small memory budget that is used up and freed again: sends are refused in both protocols, everything that
frees memory goes on, sends are taken again by themselves. Arguments: millraced, millrace.
"""

import json
import os
import re
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.request

import broker as programs
from broker import Broker, start_refused

BUDGET_MIB = 64
LINES = 100_000  # messages in a command; delayed ones take 32 bytes of timer each, and their places in the index
SENDS_MAX = 100
SECONDS_MAX = 30
ANONYMOUS_MAX = 1.5  # times the budget
REFUSAL = "the memory budget of the server is used up"


def anonymous_bytes(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return int(re.search(r"RssAnon:\s+(\d+)", file.read()).group(1)) << 10


def sqs(broker, action, **members):
    """(status, body)"""
    request = urllib.request.Request(f"http://{broker.http}/", json.dumps(members).encode(),
                                     {"X-Amz-Target": f"AmazonSQS.{action}",
                                      "Content-Type": "application/x-amz-json-1.0"})
    try:
        with urllib.request.urlopen(request, timeout=SECONDS_MAX) as answer:
            return answer.status, json.loads(answer.read() or b"{}")
    except urllib.error.HTTPError as refused:
        return refused.code, json.loads(refused.read())


def get(broker, path):
    try:
        with urllib.request.urlopen(f"http://{broker.http}{path}", timeout=SECONDS_MAX) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read().decode()


def metric(broker, name):
    return sum(float(value) for value in re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", get(broker, "/metrics")[1], re.M))


class MemoryBudget(unittest.TestCase):
    def test_of_nonsense_is_refused_at_the_start(self):
        for value in ("0", "1MiB", "much"):
            with self.subTest(value=value), tempfile.TemporaryDirectory() as folder:
                code, errors = start_refused(folder, "--max-memory", value)
                self.assertEqual(code, 2)
                self.assertIn(f'--max-memory "{value}": must be a size from 16MiB, or auto', errors)

    def test_used_up_it_refuses_sends_and_nothing_else(self):
        for reactor in ("epoll", "uring"):
            with self.subTest(reactor=reactor), tempfile.TemporaryDirectory(prefix="millrace-memory-") as folder:
                try:
                    broker = Broker(os.path.join(folder, "data"), "--shards", "2", "--segment-size", "4MiB",
                                    "--durability", "none", "--max-memory", f"{BUDGET_MIB}MiB", http="127.0.0.1:0",
                                    environment={"MILLRACE_REACTOR": reactor})
                except programs.NotStarted as refused:
                    if reactor == "uring" and "io_uring" in refused.log:
                        continue
                    raise
                with broker:
                    self.one_reactor(broker)

    def one_reactor(self, broker):
        broker.command("queue", "create", "late")
        broker.command("queue", "create", "work")
        url = sqs(broker, "GetQueueUrl", QueueName="work")[1]["QueueUrl"]
        broker.command("send", "work", "--lines", stdin=b"a\nb\nc\nd\n")
        held = broker.command("receive", "work", "--max", "2", "--visibility", "3600")
        self.assertEqual(2, len(held))

        # The buffers of a large send count, too: near the end one may go where the one before did not.
        lines = b"x\n" * LINES
        refused = 0
        for _ in range(SENDS_MAX):
            ended = broker.try_command("send", "late", "--lines", "--delay", "900", stdin=lines)
            if ended.returncode != 0:
                self.assertIn(REFUSAL, ended.stderr.decode())
            refused = refused + 1 if ended.returncode != 0 else 0
            if refused == 3:
                break
        self.assertEqual(3, refused)
        self.assertLess(anonymous_bytes(broker.process.pid), ANONYMOUS_MAX * (BUDGET_MIB << 20))

        # It says so in both protocols, at /readyz and in its figures, and is alive.
        ended = broker.try_command("send", "work", "no")
        self.assertEqual((1, 1), (ended.returncode, len(ended.stderr.splitlines())))
        self.assertIn(REFUSAL, ended.stderr.decode())
        status, answer = sqs(broker, "SendMessage", QueueUrl=url, MessageBody="no")
        self.assertEqual((503, "com.amazon.coral.service#ServiceUnavailable"), (status, answer["__type"]))
        self.assertEqual(200, get(broker, "/healthz")[0])
        status, why = get(broker, "/readyz")
        self.assertEqual((503, "the memory budget is used up: sends are refused\n"), (status, why))
        self.assertEqual(BUDGET_MIB << 20, metric(broker, "millrace_memory_budget_bytes"))
        used = metric(broker, "millrace_shard_memory_bytes")
        self.assertGreater(used, (BUDGET_MIB << 20) * 0.8)
        self.assertLess(used, (BUDGET_MIB << 20) * 0.98)
        self.assertGreater(metric(broker, "millrace_shard_refused_sends_total"), 2)

        # What frees memory goes on.
        broker.command("extend", "work", held[0]["receipt"], "3600")
        broker.command("ack", "work", *[message["receipt"] for message in held])
        self.assertEqual(["c", "d"], broker.drain("work"))
        status, answer = sqs(broker, "ReceiveMessage", QueueUrl=url)
        self.assertEqual((200, {}), (status, answer))
        broker.command("queue", "purge", "late")
        deadline = time.monotonic() + SECONDS_MAX
        while broker.try_command("send", "work", "again").returncode != 0:
            self.assertLess(time.monotonic(), deadline, "sends are still refused after memory was freed")
            time.sleep(0.05)
        self.assertEqual(200, sqs(broker, "SendMessage", QueueUrl=url, MessageBody="and again")[0])
        self.assertEqual(200, get(broker, "/readyz")[0])
        self.assertEqual(["again", "and again"], sorted(broker.drain("work")))
        self.assertEqual(0, broker.stop())


if __name__ == "__main__":
    programs.use_programs(*sys.argv[1:3])
    unittest.main(argv=sys.argv[:1])
