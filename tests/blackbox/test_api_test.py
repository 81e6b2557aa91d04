"""What --test-api and --compat add to the HTTP port, and that nothing of it is there without them.

Arguments: millraced, millrace.
"""

import json
import subprocess
import sys
import tempfile
import unittest
import urllib.error
import urllib.request

import broker as programs
from broker import Broker

SECONDS_MAX = 30
RESETS = ("/_millrace/reset", "/moto-api/reset")


def ask(broker, path, method="POST"):
    """(status, body)"""
    request = urllib.request.Request(f"http://{broker.http}{path}", method=method,
                                     data=b"" if method == "POST" else None)
    try:
        with urllib.request.urlopen(request, timeout=SECONDS_MAX) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, refused.read().decode()


class TestApi(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory()
        self.addCleanup(self.directory.cleanup)

    def start(self, *flags, http="127.0.0.1:0"):
        return Broker(self.directory.name + "/data", "--shards", "2", "--segment-size", "4MiB", *flags, http=http)

    def test_a_reset_deletes_all_queues(self):
        with self.start("--test-api", "--durability", "none", "--recreate-wait", "60") as broker:
            self.assertEqual(ask(broker, RESETS[0]), (200, '{"queues":0,"topics":0}\n'))
            for number in range(5):
                broker.command("queue", "create", f"q-{number}")
            broker.command("queue", "create", "q.fifo", "--fifo")
            broker.command("send", "q-0", "gone")
            query = "/?Action=DeleteQueue&QueueUrl=http://x/000000000000/q-4"
            self.assertEqual(ask(broker, query)[0], 200)
            self.assertEqual(ask(broker, RESETS[0]), (200, '{"queues":5,"topics":0}\n'))
            self.assertEqual(broker.command("queue", "list"), [])
            # Nor does it remember that one of that name was deleted a moment ago.
            self.assertEqual(ask(broker, "/?Action=CreateQueue&QueueName=q-4")[0], 200)
            broker.command("queue", "create", "q-0")
            self.assertEqual(broker.drain("q-0"), [])
            self.assertEqual(ask(broker, RESETS[1]), (200, '{"queues":2,"topics":0}\n'))
            self.assertEqual(ask(broker, RESETS[0], "GET")[0], 405)
            self.assertEqual(broker.stop(), 0)

    def test_without_the_flag_there_is_nothing(self):
        with self.start() as broker:
            broker.command("queue", "create", "kept")
            for path in (*RESETS, "/_millrace/echo", "/_localstack/health", "/_aws/sqs/messages"):
                for method in ("POST", "GET"):
                    self.assertEqual(ask(broker, path, method), (404, "nothing is here\n"), path)
            self.assertEqual(len(broker.command("queue", "list")), 1)
            self.assertEqual(broker.stop(), 0)

    def test_compat_localstack_is_where_localstack_would_be(self):
        shown = subprocess.run([programs.MILLRACED, "--compat", "localstack", "--check-config"], check=True,
                               capture_output=True, timeout=SECONDS_MAX).stdout.decode()
        self.assertIn("http = 127.0.0.1:4566 (compat)\n", shown)
        self.assertIn("account = 000000000000 (default)\n", shown)
        shown = subprocess.run([programs.MILLRACED, "--compat", "localstack", "--http", "127.0.0.1:1",
                                "--check-config"], check=True, capture_output=True, timeout=SECONDS_MAX).stdout
        self.assertIn(b"http = 127.0.0.1:1 (flag)\n", shown)
        with self.start("--compat", "localstack") as broker:
            status, body = ask(broker, "/_localstack/health", "GET")
            self.assertEqual(status, 200)
            self.assertIn('"sqs": "running"', body)
            self.assertEqual(sorted(json.loads(body)), ["edition", "services", "version"])
            self.assertEqual(broker.stop(), 0)


if __name__ == "__main__":
    programs.use_programs(*sys.argv[1:3])
    unittest.main(argv=sys.argv[:1])
