"""`millrace topic` as its users meet it: topics, subscriptions and publishes over the binary protocol, definitions of
them, their metrics, rights and audit lines.

Arguments: millraced, millrace.
"""

import json
import os
import re
import sys
import tempfile
import unittest
import urllib.request

import broker as programs
from broker import Broker, millrace

ARN = "arn:aws:sns:us-east-1:000000000000:orders-topic"
FILTERS = {"orders": '{"event_type": ["order.created", "order.updated"]}',
           "inventory": '{"event_type": ["order.created"]}'}
FILE = """\
[[queue]]
name = "orders"

[[queue]]
name = "inventory"

[[topic]]
name = "orders-topic"
attributes = { DisplayName = "Orders", MaximumMessageSize = 2048 }
tags = { team = "web" }
[[topic.subscription]]
queue = "orders"
raw = true
filter = '{"event_type": ["order.created"]}'
[[topic.subscription]]
queue = "inventory"
dead_letter_queue = "lost"

[[topic]]
name = "events.fifo"
fifo = true
"""


class TopicCommands(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory()
        self.addCleanup(self.directory.cleanup)
        self.folder = self.directory.name

    def start(self, *flags, data="data", **more):
        return Broker(os.path.join(self.folder, data), "--shards", "2", "--segment-size", "4MiB", *flags, **more)

    def write(self, text, name, mode=0o600):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, mode)
        return path

    def refused(self, broker, words, code, line, environment=None):
        ended = millrace(*words, server=broker.server)
        self.assertEqual((code, ended.stdout.decode()), (ended.returncode, ""), ended.stderr)
        self.assertEqual("millrace: " + line + "\n", ended.stderr.decode())

    def set_up(self, broker):
        for queue, policy in FILTERS.items():
            broker.command("queue", "create", queue)
        broker.command("topic", "create", "orders-topic")
        for queue, policy in FILTERS.items():
            broker.command("topic", "subscribe", "orders-topic", queue, "--raw", "--filter", policy)

    def test_each_queue_gets_what_its_filter_wants(self):
        with self.start() as broker:
            self.set_up(broker)
            for event in ("created", "updated", "deleted"):
                [told] = broker.command("topic", "publish", "orders-topic", event, "--attr", f"event_type=order.{event}")
                self.assertEqual((1, 1), (told["count"], len(told["ids"])))
                self.assertRegex(told["ids"][0], r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")
            got = broker.command("receive", "inventory", "--max", "10")
            self.assertEqual([("created", {"event_type": {"type": "String", "value": "order.created"}})],
                             [(one["body"], one["attributes"]) for one in got])
            self.assertEqual({"created", "updated"}, set(broker.drain("orders")))
            [shown] = broker.command("topic", "show", "orders-topic")
            self.assertEqual({"orders", "inventory"}, {one["queue"] for one in shown["subscribed"]})
            self.assertEqual({"event_type": ["order.created"]},
                             next(one["attributes"]["FilterPolicy"] for one in shown["subscribed"]
                                  if one["queue"] == "inventory"))
            self.assertEqual((ARN, 2, 3, 3, 3, 0),
                             tuple(shown[key] for key in ("arn", "subscriptions", "published", "delivered", "filtered",
                                                          "failed")))
            self.assertEqual(0, broker.stop())

    def test_lines_go_out_in_batches_and_a_bad_one_is_named(self):
        with self.start() as broker:
            self.set_up(broker)
            lines = [f"message {i}" for i in range(150)]
            told = broker.command("topic", "publish", "orders-topic", "--lines", "--attr", "event_type=order.updated",
                                  stdin="\n".join(lines).encode())
            self.assertEqual([64, 64, 22], [one["count"] for one in told])
            self.assertEqual(sorted(lines), sorted(broker.drain("orders")))
            ended = millrace("topic", "publish", "orders-topic", "--lines", server=broker.server, stdin=b"a\n\nc\n")
            self.assertEqual((1, "millrace: line 2: Empty message (2 messages were published)\n"),
                             (ended.returncode, ended.stderr.decode()))
            large = "x" * 1_100_000
            ended = millrace("topic", "publish", "orders-topic", server=broker.server, stdin=large.encode())
            self.assertEqual((1, "millrace: the message is larger than 1048576 bytes\n"),
                             (ended.returncode, ended.stderr.decode()))

    def test_an_envelope_says_where_it_is_from(self):
        with self.start("--advertise", "http://queues.example:80", http="127.0.0.1:0") as broker:
            broker.command("queue", "create", "jobs")
            broker.command("topic", "create", "news", "--set", "SignatureVersion=2")
            [made] = broker.command("topic", "subscribe", "news", "jobs")
            broker.command("topic", "publish", "news", '{"default": "all", "sqs": "queues"}', "--structured", "--subject", "hi")
            [body] = broker.drain("jobs")
            envelope = json.loads(body)
            self.assertEqual(("queues", "hi", "2"), tuple(envelope[key] for key in ("Message", "Subject", "SignatureVersion")))
            self.assertTrue(envelope["UnsubscribeURL"].startswith("http://queues.example:80/?Action=Unsubscribe&"))
            self.assertTrue(envelope["UnsubscribeURL"].endswith(made["subscription"]))

    def test_subscriptions_end_by_queue_uuid_or_arn(self):
        with self.start() as broker:
            self.set_up(broker)
            broker.command("topic", "unsubscribe", "orders-topic", "orders")
            [shown] = broker.command("topic", "show", "orders-topic")
            [left] = shown["subscribed"]
            self.refused(broker, ["topic", "unsubscribe", "orders-topic", "orders"], 1,
                         "'orders' is not subscribed to topic 'orders-topic'")
            broker.command("topic", "unsubscribe", f"{ARN}:{left['subscription']}")
            self.refused(broker, ["topic", "unsubscribe", left["subscription"]], 1,
                         f"subscription '{left['subscription']}': there is no such subscription")
            broker.command("topic", "delete", "orders-topic")
            self.assertEqual([], broker.command("topic", "list"))

    def test_a_refusal_is_one_clear_line(self):
        with self.start() as broker:
            broker.command("topic", "create", "t")
            for words, code, line in (
                    (["publish", "nobody", "x"], 1, "there is no topic 'nobody'"),
                    (["show", "nobody"], 1, "there is no topic 'nobody'"),
                    (["delete", "nobody"], 1, "there is no topic 'nobody'"),
                    (["create", "a b"], 1, "topic 'a b': a topic's name is 1 to 256 of A-Z a-z 0-9 _ -; of a FIFO topic, "
                                           "and only of one, the last five are .fifo"),
                    (["create", "t", "--set", "MaximumMessageSize=2000"], 1,
                     "topic 't': Topic already exists with different attributes"),
                    (["create", "x", "--set", "MaximumMessageSize=7"], 1,
                     "topic 'x': MaximumMessageSize: Invalid value [7]. It may be 1024 to 1048576"),
                    (["create", "x", "--tag", "x"], 2, "--tag: 'x' is not KEY=VALUE"),
                    (["set", "t"], 2, "give ATTRIBUTE=VALUE, --tag or --untag"),
                    (["publish", "t", ""], 1, "Empty message"),
                    (["publish", "t", "x", "--subject", "a\nb"], 1,
                     "the subject must be 1 to 100 characters, none of them a line break or a control character"),
                    (["publish", "t", "x", "--attr", "n:Number=many"], 1,
                     "Could not cast message attribute 'n' value to number."),
                    (["publish", "t", "x", "--lines"], 2, "give BODY, or --file and --lines, not both"),
                    (["subscribe", "t", "q", "--protocol", "smoke"], 1,
                     "subscription of q to topic 't': Amazon SNS does not support this protocol string: smoke"),
                    (["subscribe", "t", "q", "--filter", "{"], 1, None),
                    (["subscribe", "t", "q", "--filter", "/nowhere"], 1,
                     "--filter: '/nowhere' is neither a JSON object nor a file of one: No such file or directory"),
                    (["unsubscribe", "t"], 2,
                     "'t' is neither a subscription's UUID nor its ARN; or give TOPIC and ENDPOINT")):
                with self.subTest(words=words):
                    if line is None:
                        ended = millrace("topic", *words, server=broker.server)
                        self.assertEqual((code, 1), (ended.returncode, ended.stderr.count(b"\n")), ended.stderr)
                    else:
                        self.refused(broker, ["topic", *words], code, line)

    def test_definitions_make_topics_once_and_export_writes_them(self):
        file = self.write(FILE, "topics.toml")
        with self.start("--definitions", file) as broker:
            self.assertIn("2 queues and 2 topics: 4 created, 0 changed, 0 as before", broker.log())
            broker.command("topic", "publish", "orders-topic", "hello", "--attr", "event_type=order.created")
            self.assertEqual(["hello"], broker.drain("orders"))
            self.assertEqual(0, broker.stop())
        with self.start("--definitions", file) as broker:
            self.assertIn("2 queues and 2 topics: 0 created, 0 changed, 4 as before", broker.log())
            # A queue by its name, however it was subscribed.
            [again] = broker.command("topic", "subscribe", "orders-topic", "orders")
            self.assertEqual("orders", again["queue"])
            ended = millrace("export", server=broker.server)
            self.assertEqual(0, ended.returncode, ended.stderr)
            exported = ended.stdout.decode()
            [outcome] = [one for one in broker.command("import", self.write(FILE.replace("true\nfilter", "false\nfilter"), "b"))
                         if one["outcome"] != "left"]
            self.assertEqual({"name": "orders-topic", "type": "topic", "outcome": "changed",
                              "changes": ["subscription of orders: RawMessageDelivery true -> false"], "dry_run": False},
                             outcome)
            self.assertEqual(0, broker.stop())
        with self.start("--definitions", self.write(exported, "exported.toml"), data="other") as broker:
            self.assertIn("2 queues and 2 topics: 4 created", broker.log())
            self.assertEqual(exported, millrace("export", server=broker.server).stdout.decode())
            outcomes = broker.command("import", file)
            self.assertEqual({"left"}, {one["outcome"] for one in outcomes}, outcomes)

    def test_rights_are_sns_s_and_changes_are_audited(self):
        keys = self.write('[[key]]\nid = "ROOT"\nsecret = "0123456789abcdef-root"\n'
                          '[[user]]\nname = "worker"\n[[user.rule]]\nallow = ["Publish"]\ntopics = ["orders*"]\n'
                          '[[key]]\nid = "WORKER"\nsecret = "0123456789abcdef-work"\nuser = "worker"\n', "keys.toml")
        audit = os.path.join(self.folder, "audit.log")
        secrets = {user: self.write(f"0123456789abcdef-{user.lower()[:4]}\n", user) for user in ("ROOT", "WORKER")}

        def as_user(user, *words):
            ended = millrace("--user", user, "--secret-file", secrets[user], *words, server=broker.server)
            return ended.returncode, ended.stderr.decode()

        with self.start("--credentials", keys, "--audit", audit) as broker:
            self.assertEqual((0, ""), as_user("ROOT", "topic", "create", "orders-topic"))
            self.assertEqual((0, ""), as_user("ROOT", "topic", "subscribe", "orders-topic", "orders"))
            self.assertEqual((0, ""), as_user("WORKER", "topic", "publish", "orders-topic", "hello"))
            for words in (["create", "x"], ["delete", "orders-topic"], ["list"], ["subscribe", "orders-topic", "mine"],
                          ["publish", "other", "hello"]):
                code, err = as_user("WORKER", "topic", *words)
                self.assertEqual((1, 1), (code, err.count("\n")), err)
                self.assertIn("not authorized to perform: sns:", err)
            self.assertEqual((0, ""), as_user("ROOT", "topic", "set", "orders-topic", "DisplayName=x"))
            self.assertEqual((0, ""), as_user("ROOT", "topic", "unsubscribe", "orders-topic", "orders"))
            self.assertEqual((0, ""), as_user("ROOT", "topic", "delete", "orders-topic"))
            self.assertEqual(0, broker.stop())
        with open(audit, encoding="utf-8") as file:
            told = [json.loads(line) for line in file]
        self.assertEqual([("topic.created", "CreateTopic"), ("subscription.created", "Subscribe"),
                          ("topic.changed", "SetTopicAttributes"), ("subscription.deleted", "Unsubscribe"),
                          ("topic.deleted", "DeleteTopic")],
                         [(one["event"], one["action"]) for one in told if one.get("result") == "ok" and "topic" in one])
        self.assertEqual({"orders-topic"}, {one["topic"] for one in told if one.get("result") == "ok" and "topic" in one})
        denied = [one for one in told if one["event"] == "access.denied"]
        self.assertEqual(["x", "orders-topic", None, "orders-topic", "other"], [one.get("topic") for one in denied])

    def test_metrics_tell_of_each_topic(self):
        with self.start("--metrics-queues", "2", http="127.0.0.1:0") as broker:
            self.set_up(broker)
            for name in ("zoo-1", "zoo-2"):
                broker.command("topic", "create", name)
                broker.command("topic", "subscribe", name, "nowhere", "--raw")
            broker.command("topic", "publish", "orders-topic", "x", "--attr", "event_type=order.updated")
            for name in ("zoo-1", "zoo-2", "zoo-2"):
                broker.command("topic", "publish", name, "x")
            with urllib.request.urlopen(f"http://{broker.http}/metrics", timeout=30) as answer:
                page = answer.read().decode()
            found = dict(re.findall(r"^(millrace_topic_\S+) (\d+)$", page, re.M))
            self.assertEqual({"orders-topic": "1", "zoo-1": "1", "": "2"},
                             {topic: found[f'millrace_topic_messages_published_total{{topic="{topic}"}}']
                              for topic in ("orders-topic", "zoo-1", "")})
            self.assertEqual({"delivered": "1", "filtered": "1", "redriven": "0", "dropped": "0"},
                             {result: found[f'millrace_topic_copies_total{{topic="orders-topic",result="{result}"}}']
                              for result in ("delivered", "filtered", "redriven", "dropped")})
            self.assertEqual("2", found['millrace_topic_copies_total{topic="",result="dropped"}'])
            self.assertEqual("3", re.search(r"^millrace_topics (\d+)$", page, re.M).group(1))
            [zoo] = broker.command("topic", "list", "zoo-2")
            self.assertEqual((2, 0, 2), (zoo["published"], zoo["delivered"], zoo["failed"]))


if __name__ == "__main__":
    programs.use_programs(*sys.argv[1:3])
    unittest.main(argv=sys.argv[:1])
