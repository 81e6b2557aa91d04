"""Queues by file: --definitions at the start, and what `millrace export` and `import` make of it.

Arguments: millraced, millrace.
"""

import os
import subprocess
import sys
import tempfile
import unittest

import broker as programs
from broker import Broker, millrace, start_refused

FILE = """\
# jobs come first: their dead-letter queue is further down.
[[queue]]
name = "jobs"
dead_letter_queue = "jobs-failed"
max_receives = 5
attributes = { VisibilityTimeout = 60, DelaySeconds = 1.5, Durability = "commit" }
tags = { team = "billing", "cost center" = "7" }

[[queue]]
name = "jobs-failed"
[queue.attributes]
MessageRetentionPeriod = 1209600
RedriveAllowPolicy = '{"redrivePermission":"byQueue","sourceQueueArns":["jobs"]}'

[[queue]]
name = "orders.fifo"
fifo = true
attributes = { ContentBasedDeduplication = true, DeduplicationScope = "messageGroup" }
"""


class Definitions(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory()
        self.addCleanup(self.directory.cleanup)
        self.data = self.directory.name + "/data"
        self.file = self.write(FILE)

    def write(self, text, name="queues.toml"):
        path = os.path.join(self.directory.name, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def start(self, *flags, data=None):
        return Broker(data or self.data, "--shards", "2", "--segment-size", "4MiB", *flags)

    def run_cli(self, broker, *words):
        ended = millrace(*words, server=broker.server)
        return ended.returncode, ended.stdout.decode(), ended.stderr.decode()

    def test_what_is_missing_is_made_and_a_second_start_changes_nothing(self):
        with self.start("--definitions", self.file) as broker:
            self.assertIn("3 queues: 3 created, 0 changed, 0 as before", broker.log())
            jobs = broker.show("jobs")
            self.assertEqual(jobs["attributes"]["VisibilityTimeout"], 60)
            self.assertEqual(jobs["attributes"]["DelaySeconds"], 1.5)
            self.assertEqual(jobs["attributes"]["RedrivePolicy"],
                             {"deadLetterTargetArn": "jobs-failed", "maxReceiveCount": 5})
            self.assertEqual(jobs["tags"], {"team": "billing", "cost center": "7"})
            self.assertTrue(broker.show("orders.fifo")["attributes"]["ContentBasedDeduplication"])
            broker.command("send", "jobs", "kept")
            broker.command("queue", "create", "other")
            broker.command("queue", "set", "jobs", "MaximumMessageSize=2048", "VisibilityTimeout=5", "--tag", "by=hand")
            made = jobs["id"]
            self.assertEqual(broker.stop(), 0)
        with self.start("--definitions", self.file) as broker:
            self.assertIn("3 queues: 0 created, 1 changed, 2 as before", broker.log())
            jobs = broker.show("jobs")
            self.assertEqual(jobs["id"], made)
            self.assertEqual(jobs["attributes"]["VisibilityTimeout"], 60)
            # What the file does not name stays.
            self.assertEqual(jobs["attributes"]["MaximumMessageSize"], 2048)
            self.assertEqual(jobs["tags"]["by"], "hand")
            self.assertEqual(jobs["ready"] + jobs["delayed"], 1)
            self.assertEqual(len(broker.command("queue", "list")), 4)
            self.assertEqual(broker.stop(), 0)
        with self.start("--definitions", self.file) as broker:
            self.assertIn("3 queues: 0 created, 0 changed, 3 as before", broker.log())
            self.assertEqual(broker.stop(), 0)

    def test_a_wrong_file_is_one_line_with_its_line_number_and_exit_2(self):
        wrong = [
            ("[[queue]]\nname = \"a\"\ncolour = 1\n", ":3: unknown key \"colour\""),
            ("[[topics]]\nname = \"a\"\n", ":1: unknown \"topics\": there may be [[queue]] and [[topic]]"),
            ("queue = 1\n", ":1: queue must be tables, [[queue]]"),
            ("[[queue]]\n", ":1: a queue must have a name, a text"),
            ("[[queue]]\nname = \"a b\"\n", ":1: 'a b' can't be the name of a queue"),
            ("[[queue]]\nname = \"a\"\n[[queue]]\nname = \"a\"\n", ":4: queue 'a' is here twice"),
            ("[[queue]]\nname = \"a\"\nfifo = true\n", ":3: fifo is true, but the name 'a' does not end in .fifo"),
            ("[[queue]]\nname = \"a.fifo\"\nfifo = false\n", ":3: fifo is false, but the name 'a.fifo' makes a FIFO"),
            ("[[queue]]\nname = \"a\"\nfifo = \"no\"\n", ":3: fifo must be true or false"),
            ("[[queue]]\nname = \"a\"\n[queue.attributes]\nVisibilityTimeout = 50000\n",
             ":4: VisibilityTimeout: it may be 0 to 43200"),
            ("[[queue]]\nname = \"a\"\nattributes = { Visibility = 1 }\n", ":3: unknown attribute \"Visibility\""),
            ("[[queue]]\nname = \"a\"\nattributes = { DelaySeconds = [1] }\n",
             ":3: DelaySeconds: it must be a text or a number"),
            ("[[queue]]\nname = \"a\"\nattributes = 3\n", ":3: attributes must be a table"),
            ("[[queue]]\nname = \"a\"\ntags = { x = {} }\n", ":3: the tag x must be a text"),
            ("[[queue]]\nname = \"a\"\ntags = { \"aws:x\" = \"1\" }\n", ":1: queue 'a': a tag is 'aws:x'"),
            ("[[queue]]\nname = \"a\"\ndead_letter_queue = \"b\"\n",
             ":3: dead_letter_queue and max_receives belong together"),
            ("[[queue]]\nname = \"a\"\ndead_letter_queue = \"b\"\nmax_receives = 0\n",
             ":4: max_receives must be 1 to 1000"),
            ("[[queue]]\nname = \"a\"\nattributes = { ContentBasedDeduplication = true }\n",
             "it is for FIFO queues"),
            ("[[queue]\nname = \"a\"\n", ":1: "),
        ]
        for text, said in wrong:
            path = self.write(text, "wrong.toml")
            for flags in (["--definitions", path], ["--definitions", path, "--check-config"]):
                code, err = start_refused(self.data, *flags)
                self.assertEqual(code, 2, (text, err))
                self.assertIn(path, err)
                self.assertIn(said, err)
                self.assertEqual(err.count("\n"), 1, err)
        self.assertFalse(os.path.exists(self.data))
        code, err = start_refused(self.data, "--definitions", self.directory.name + "/none.toml")
        self.assertEqual((code, err.count("\n")), (2, 1), err)
        ended = subprocess.run([programs.MILLRACED, "--definitions", self.file, "--check-config"], check=False,
                               capture_output=True, timeout=programs.START_SECONDS_MAX)
        self.assertEqual(ended.returncode, 0, ended.stderr)
        self.assertIn(f"definitions = {self.file} (flag)", ended.stdout.decode())

    def test_a_conflict_ends_the_start_before_anything_is_changed(self):
        with self.start("--definitions", self.file) as broker:
            self.assertEqual(broker.stop(), 0)
        conflicts = [
            ("[[queue]]\nname = \"new\"\n[[queue]]\nname = \"orders.fifo\"\n"
             "attributes = { Partitions = 3 }\n",
             ":3: queue 'orders.fifo': Partitions is '3'; it is"),
            ("[[queue]]\nname = \"new\"\ndead_letter_queue = \"nowhere\"\nmax_receives = 3\n",
             ":1: queue 'new': its dead-letter queue 'nowhere' is neither there nor in the file"),
            ("[[queue]]\nname = \"new\"\ndead_letter_queue = \"orders.fifo\"\nmax_receives = 3\n",
             "its dead-letter queue 'orders.fifo' must be a standard queue as it is"),
            ("[[queue]]\nname = \"new\"\ndead_letter_queue = \"jobs-failed\"\nmax_receives = 3\n",
             "the RedriveAllowPolicy of 'jobs-failed' does not allow it"),
        ]
        for text, said in conflicts:
            code, err = start_refused(self.data, "--shards", "2", "--definitions", self.write(text, "wrong.toml"))
            self.assertEqual(code, 2, err)
            self.assertIn(said, err)
        with self.start() as broker:
            self.assertEqual(len(broker.command("queue", "list")), 3)
            self.assertEqual(broker.stop(), 0)

    def test_what_was_exported_makes_the_same_queues_elsewhere(self):
        out = self.directory.name + "/exported.toml"
        with self.start("--definitions", self.file) as broker:
            broker.command("queue", "set", "orders.fifo",
                           'Policy={"Version":"2012-10-17","Statement":[]}', "KmsMasterKeyId=a\\key\"1")
            code, first, err = self.run_cli(broker, "export")
            self.assertEqual((code, err), (0, ""))
            code, shown, err = self.run_cli(broker, "export", out)
            self.assertEqual((code, shown, err), (0, "", f"3 queues in {out}\n"))
            code, _, err = self.run_cli(broker, "export", out)
            self.assertEqual(code, 1, "a file that is there is not written over")
            code, told, err = self.run_cli(broker, "import", out)
            self.assertEqual((code, err), (0, ""))
            self.assertIn("3 queues: 0 created, 0 changed, 3 as before", told)
            self.assertEqual(broker.stop(), 0)
        with self.start(data=self.directory.name + "/other") as broker:
            code, told, err = self.run_cli(broker, "import", out, "--dry-run")
            self.assertEqual((code, err), (0, ""))
            self.assertIn("created  orders.fifo\n", told)
            self.assertIn("nothing was done (--dry-run)", told)
            self.assertEqual(broker.command("queue", "list"), [])
            code, told, err = self.run_cli(broker, "import", out)
            self.assertEqual((code, err), (0, ""))
            self.assertIn("3 queues: 3 created, 0 changed, 0 as before", told)
            self.assertEqual(self.run_cli(broker, "export")[1], first)
            broker.command("queue", "set", "jobs", "VisibilityTimeout=7", "--tag", "team=web")
            outcomes = {line["name"]: line for line in broker.command("import", out)}
            self.assertEqual(outcomes["jobs"], {
                "name": "jobs", "type": "queue", "outcome": "changed", "dry_run": False,
                "changes": ["VisibilityTimeout 7 -> 60", "tag team -> billing"]})
            self.assertEqual(outcomes["jobs-failed"]["outcome"], "left")
            self.assertEqual(self.run_cli(broker, "export")[1], first)
            code, told, err = self.run_cli(broker, "import", self.write("[[queue]]\nname = 3\n", "wrong.toml"))
            self.assertEqual((code, told), (2, ""))
            self.assertIn("wrong.toml:1: a queue must have a name, a text", err)
            conflict = self.write("[[queue]]\nname = \"x\"\n[[queue]]\nname = \"orders.fifo\"\n"
                                  "attributes = { Partitions = 3 }\n", "conflict.toml")
            code, told, err = self.run_cli(broker, "import", conflict)
            self.assertEqual((code, told), (1, ""))
            self.assertIn("conflict.toml:3: queue 'orders.fifo'", err)
            self.assertEqual(len(broker.command("queue", "list")), 3)
            self.assertEqual(broker.stop(), 0)

    def test_a_dead_letter_queue_that_is_gone_stops_no_import_where_nothing_changes(self):
        with self.start("--definitions", self.file) as broker:
            broker.command("queue", "delete", "jobs-failed")
            out = self.directory.name + "/exported.toml"
            self.assertEqual(self.run_cli(broker, "export", out)[0], 0)
            self.assertEqual([line["outcome"] for line in broker.command("import", out)], ["left", "left"])
            self.assertEqual(broker.stop(), 0)

    def test_an_empty_server_exports_nothing_and_export_has_no_json(self):
        with self.start() as broker:
            self.assertEqual(self.run_cli(broker, "export"), (0, "", ""))
            self.assertEqual(self.run_cli(broker, "--json", "export")[0], 2)
            self.assertEqual(self.run_cli(broker, "import", self.write("", "empty.toml"))[:2],
                             (0, "0 queues: 0 created, 0 changed, 0 as before\n"))
            self.assertEqual(broker.stop(), 0)


if __name__ == "__main__":
    programs.use_programs(*sys.argv[1:3])
    unittest.main(argv=sys.argv[:1])
