"""Runs examples/ as they are, against a server of its own, and looks at what they print.

usage: examples_test.py EXAMPLES NODE_SCRIPT MILLRACED MILLRACE
"""

import os
import subprocess
import sys
import unittest

EXAMPLES, NODE_SCRIPT = (os.path.abspath(path) for path in sys.argv[1:3])
del sys.argv[1:3]

from server import attribute_md5, body_md5, serve  # pylint: disable=wrong-import-position

SECONDS_MAX = 120
SERVER = None


class Examples(unittest.TestCase):
    def run_one(self, *command):
        ended = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS_MAX, check=False,
                               env={**os.environ, "SQS_ENDPOINT": SERVER.endpoint})
        self.assertEqual(0, ended.returncode, ended.stdout + ended.stderr)
        return ended.stdout

    def python(self, name):
        return self.run_one(sys.executable, "-B", os.path.join(EXAMPLES, name))

    def tearDown(self):
        self.assertEqual([], SERVER.command("queue", "list"), "an example leaves queues behind")

    def test_each_is_run_here(self):
        # endpoint.py is what the others share.
        tried = {"create_queues.py", "messages.py", "workers.py", "fifo_orders.py", "reliable_queue.py",
                 "fan_out.py", "dead_letters.py", "redrive.mjs", "cli.sh"}
        self.assertEqual(tried | {"endpoint.py", "README.md"},
                         {name for name in os.listdir(EXAMPLES) if not name.startswith(("__", "."))})

    def test_create_queues(self):
        self.assertEqual([
            "my-dlq keeps messages 1209600 s, hides them 30 s",
            'my-main-queue keeps messages 345600 s, hides them 30 s {"deadLetterTargetArn":'
            '"arn:aws:sqs:us-east-1:000000000000:my-dlq","maxReceiveCount":3}',
            "my-queue keeps messages 1209600 s, hides them 60 s",
            "my-queue.fifo keeps messages 345600 s, hides them 30 s"],
            [line.rstrip() for line in self.python("create_queues.py").splitlines()])

    def test_messages(self):
        lines = self.python("messages.py").splitlines()
        self.assertEqual(["stored 3 of a batch of 3", "order 123 with priority high",
                          *(f"order {n} with priority normal" for n in range(3)), "order later with priority none",
                          "left: 0 ready, 0 in flight"], lines)

    def test_workers(self):
        self.assertEqual("50 items done, 50 different ones\n", self.python("workers.py"))

    def test_fifo_orders(self):
        lines = self.python("fifo_orders.py").splitlines()
        self.assertEqual([f"{customer} {version} stored, sent again: the same"
                          for version in (1, 2, 3) for customer in ("alice", "bob")], lines[:6])
        for customer in ("alice", "bob"):
            self.assertEqual([f"processing {customer} {version}" for version in (1, 2, 3)],
                             [line for line in lines[6:] if customer in line])

    def test_reliable_queue(self):
        self.assertIn("in the dead-letter queue", self.python("reliable_queue.py"))

    def test_fan_out(self):
        self.assertEqual(["orders: order 1 order.created", "orders: order 1 order.updated", "orders: order 2 order.created",
                          "inventory: order 1 order.created", "inventory: order 2 order.created"],
                         self.python("fan_out.py").splitlines())

    def test_dead_letters(self):
        lines = self.python("dead_letters.py").splitlines()
        self.assertEqual(9, sum("the database is away" in line for line in lines))
        self.assertIn("DLQ Message: order 0", lines)
        if "redrive COMPLETED 2 moved" in lines:
            self.assertEqual(["order 1 processed", "order 2 processed"], lines[-2:])
        else:
            self.assertIn("knows no move tasks", lines[-1])

    def test_redrive(self):
        self.assertEqual("left in the queue: 0\nback again: hard\nmoved: 1\n", self.run_one("node", NODE_SCRIPT))

    def test_cli(self):
        self.assertEqual(["2", "60", body_md5("Hello, SQS!"),
                          attribute_md5({"Priority": {"DataType": "String", "StringValue": "High"}}),
                          "Hello, SQS!\tNone", "Hello, SQS!\tHigh", "0\t0\t0"], self.run_one(os.path.join(EXAMPLES, "cli.sh")).splitlines())


if __name__ == "__main__":
    SERVER = serve()
    unittest.main(argv=sys.argv[:1])
