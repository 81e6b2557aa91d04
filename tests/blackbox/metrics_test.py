"""What Prometheus meets at /metrics of the real server: a text that promtool has nothing to say against, and just
the metrics that docs/operations.md has. Arguments: millraced, millrace.
"""

import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
import urllib.error
import urllib.request

import broker as programs
from broker import Broker

ROOT = pathlib.Path(__file__).resolve().parents[2]
SECONDS_MAX = 30
QUEUES_MAX = 20


def http_base(broker):
    return f"http://{broker.http}"


def scrape(broker):
    with urllib.request.urlopen(http_base(broker) + "/metrics", timeout=SECONDS_MAX) as answer:
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        return answer.read().decode()


def samples(text):
    """{'name{labels}': value}"""
    return {series: float(value) for series, value in
            (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))}


def families(text):
    return re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE)


def documented():
    """(name, kind) of the rows of the table."""
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    section = text.split("\n## Metrics\n", 1)[1].split("\n## ", 1)[0]
    return re.findall(r"^\| `(\w+)` \| (gauge|counter|histogram) \|", section, re.MULTILINE)


class Metrics(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.TemporaryDirectory()
        cls.broker = Broker(cls.directory.name + "/data", "--shards", "2", "--segment-size", "4MiB",
                            "--metrics-queues", str(QUEUES_MAX), http="127.0.0.1:0")
        broker = cls.broker
        broker.command("queue", "create", "failed")
        broker.command("queue", "create", "jobs", "--dlq", "failed", "--max-receives", "1")
        broker.command("send", "jobs", "--lines", stdin=b"a\nb\nc\nd\n")
        broker.command("receive", "jobs", "--max", "2", "--ack")
        broker.command("receive", "jobs", "--max", "1", "--visibility", "0")
        broker.command("receive", "jobs", "--max", "1")
        broker.command("send", "jobs", "later", "--delay", "60")
        broker.command("receive", "failed", "--max", "1", "--visibility", "0")
        broker.command("receive", "failed", "--max", "1")
        broker.command("topic", "create", "events")
        cls.text = scrape(broker)

    @classmethod
    def tearDownClass(cls):
        cls.broker.__exit__()
        cls.directory.cleanup()

    def test_promtool_finds_nothing_wrong(self):
        promtool = shutil.which("promtool")
        if promtool is None:
            self.skipTest("promtool is not installed (package prometheus)")
        checked = subprocess.run([promtool, "check", "metrics"], input=self.text.encode(), capture_output=True,
                                 timeout=SECONDS_MAX, check=False)
        said = (checked.stdout + checked.stderr).decode()
        self.assertEqual((checked.returncode, said), (0, ""))

    def test_the_documented_metrics_are_those_shown(self):
        self.assertEqual(documented(), families(self.text))

    def test_figures_are_those_of_what_was_done(self):
        shown = samples(self.text)

        def of(name, queue="jobs"):
            return shown[f'millrace_queue_{name}{{queue="{queue}"}}']

        self.assertEqual(of("sent_messages_total"), 5)
        self.assertEqual(of("deleted_messages_total"), 2)
        self.assertEqual(of("delayed_messages"), 1)
        self.assertEqual(of("received_messages_total"), of("deleted_messages_total") + 2)
        self.assertEqual(of("dead_lettered_messages_total"), 1)
        self.assertEqual(of("leased_messages"), 1)
        self.assertEqual(of("leased_messages", "failed"), 1)
        self.assertEqual(of("received_messages_total", "failed"), 2)
        self.assertGreaterEqual(of("redelivered_messages_total", "failed"), 1)
        self.assertEqual(of("wait_seconds_count"), of("received_messages_total"))
        self.assertEqual(of("lease_seconds_count"), of("deleted_messages_total"))
        self.assertEqual(shown["millrace_queues"], 2)
        self.assertEqual(shown["millrace_scrape_complete"], 1)
        self.assertEqual(shown['millrace_sqs_requests_total{action="SendMessage",status="200"}'], 0)
        commits = sum(shown[f'millrace_shard_commit_seconds_count{{shard="{shard}"}}'] for shard in (0, 1))
        self.assertGreaterEqual(commits, 3)  # two sends, one ack
        self.assertEqual(shown['millrace_connections{protocol="http"}'], 1)
        self.assertGreaterEqual(shown['millrace_connections_accepted_total{protocol="binary"}'], 8)
        self.assertGreater(sum(shown[f'millrace_shard_cpu_seconds_total{{shard="{shard}"}}'] for shard in (0, 1)), 0)

    def test_counters_do_not_fall(self):
        before = samples(self.text)
        after = samples(scrape(self.broker))
        fell = [series for series, value in before.items()
                if re.search(r"_(total|count|sum|bucket)(\{|$)", series) and after[series] < value]
        self.assertEqual(fell, [])

    def test_past_the_bound_queues_are_summed_up(self):
        for number in range(QUEUES_MAX):
            self.broker.command("queue", "create", f"z-{number:02}")
        self.broker.command("send", f"z-{QUEUES_MAX - 1:02}", "x")
        text = scrape(self.broker)
        shown = samples(text)
        self.assertEqual(shown["millrace_queues"], QUEUES_MAX + 2)
        self.assertEqual(shown["millrace_queues_without_series"], 2)
        self.assertEqual(shown['millrace_queue_ready_messages{queue=""}'], 1)
        self.assertEqual(len(re.findall(r"^millrace_queue_bytes\{", text, re.MULTILINE)), QUEUES_MAX + 1)
        for number in range(QUEUES_MAX):
            self.broker.command("queue", "delete", f"z-{number:02}")

    def test_only_reading_is_taken(self):
        with self.assertRaises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(http_base(self.broker) + "/metrics", data=b"x", timeout=SECONDS_MAX)
        self.assertEqual(refused.exception.code, 405)
        refused.exception.close()


if __name__ == "__main__":
    programs.use_programs(*sys.argv[1:3])
    unittest.main(argv=sys.argv[:1])
