"""A publish that was answered survives kill -9 with its whole fan-out: every queue that wants the message has it.

Three publishers, raw and enveloped queues and one with a filter, on two shards; the broker is killed while they publish,
several times over, and what the queues hold at the end is compared with what was answered. More may be there: a publish whose
answer was lost, in all of its queues.

Arguments: millraced, millrace.
"""

import http.client
import json
import os
import re
import sys
import tempfile
import threading
import time
import unittest
import urllib.parse

import broker as programs
from broker import Broker

ACCOUNT = "000000000000"
TOPIC = f"arn:aws:sns:us-east-1:{ACCOUNT}:events"
FIFO_TOPIC = f"{TOPIC}.fifo"
ROUNDS = int(os.environ.get("MILLRACE_TOPIC_KILLS", "3"))
PUBLISHERS = 3
ROUND_SECONDS = 0.7
RECEIVES_MAX = 10_000


def call(server, version, action, **parameters):
    """(status, body) of a form; raises OSError or HTTPException if the broker is gone."""
    connection = http.client.HTTPConnection(server, timeout=30)
    try:
        connection.request("POST", "/", urllib.parse.urlencode({"Action": action, "Version": version, **parameters}),
                           {"Content-Type": "application/x-www-form-urlencoded"})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def sns(server, action, **parameters):
    return call(server, "2010-03-31", action, **parameters)


def sqs(server, action, **parameters):
    return call(server, "2012-11-05", action, **parameters)


class TopicKill(unittest.TestCase):
    def well(self, answer):
        self.assertEqual(200, answer[0], answer[1])
        return answer[1]

    def set_up(self, server):
        self.well(sns(server, "CreateTopic", Name="events"))
        for name, attributes in (("raw", {"RawMessageDelivery": "true"}), ("enveloped", {}),
                                 ("even", {"RawMessageDelivery": "true", "FilterPolicyScope": "MessageBody",
                                           "FilterPolicy": '{"even":[true]}'})):
            self.well(sqs(server, "CreateQueue", QueueName=name))
            pairs = {}
            for number, (key, value) in enumerate(attributes.items(), 1):
                pairs[f"Attributes.entry.{number}.key"], pairs[f"Attributes.entry.{number}.value"] = key, value
            self.well(sns(server, "Subscribe", TopicArn=TOPIC, Protocol="sqs",
                          Endpoint=f"arn:aws:sqs:us-east-1:{ACCOUNT}:{name}", **pairs))

    def publish_until_killed(self, broker, round_number, answered):
        stopping = threading.Event()

        def run(publisher):
            number = 0
            while not stopping.is_set():
                number += 1
                text = json.dumps({"id": f"{round_number}-{publisher}-{number}", "even": number % 2 == 0})
                try:
                    if sns(broker.http, "Publish", TopicArn=TOPIC, Message=text)[0] == 200:
                        answered.append(text)
                except (OSError, http.client.HTTPException):
                    return

        threads = [threading.Thread(target=run, args=(publisher,)) for publisher in range(PUBLISHERS)]
        for thread in threads:
            thread.start()
        time.sleep(ROUND_SECONDS)
        broker.kill()
        stopping.set()
        for thread in threads:
            thread.join()

    def publish_in_order_until_killed(self, broker, state):
        """Each publisher a group of its own, one message after the other; what was not answered is tried again, in the
        next life of the broker too."""
        stopping = threading.Event()

        def run(publisher):
            while not stopping.is_set():
                number = state[publisher] + 1
                try:
                    if sns(broker.http, "Publish", TopicArn=FIFO_TOPIC, Message=f"{publisher} {number}",
                           MessageGroupId=str(publisher), MessageDeduplicationId=f"{publisher}-{number}")[0] == 200:
                        state[publisher] = number
                except (OSError, http.client.HTTPException):
                    return

        threads = [threading.Thread(target=run, args=(publisher,)) for publisher in range(PUBLISHERS)]
        for thread in threads:
            thread.start()
        time.sleep(ROUND_SECONDS)
        broker.kill()
        stopping.set()
        for thread in threads:
            thread.join()

    def test_a_fifo_topic_loses_nothing_repeats_nothing_and_keeps_the_order(self):
        state = [0] * PUBLISHERS
        queues = [f"{name}.fifo" for name in "abcd"]
        with tempfile.TemporaryDirectory() as folder:
            data = os.path.join(folder, "data")
            for round_number in range(ROUNDS):
                with Broker(data, "--shards", "2", http="127.0.0.1:0") as broker:
                    if round_number == 0:
                        self.well(sns(broker.http, "CreateTopic", Name="events.fifo",
                                      **{"Attributes.entry.1.key": "FifoTopic", "Attributes.entry.1.value": "true"}))
                        for name in queues:
                            self.well(sqs(broker.http, "CreateQueue", QueueName=name,
                                          **{"Attribute.1.Name": "FifoQueue", "Attribute.1.Value": "true"}))
                            self.well(sns(broker.http, "Subscribe", TopicArn=FIFO_TOPIC, Protocol="sqs",
                                          Endpoint=f"arn:aws:sqs:us-east-1:{ACCOUNT}:{name}",
                                          **{"Attributes.entry.1.key": "RawMessageDelivery",
                                             "Attributes.entry.1.value": "true"}))
                    self.publish_in_order_until_killed(broker, state)
            with Broker(data, "--shards", "2", http="127.0.0.1:0") as broker:
                for name in queues:
                    groups = [[] for _ in range(PUBLISHERS)]
                    for text in self.receive_all(broker.http, name, once=True):
                        publisher, number = map(int, text.split())
                        groups[publisher].append(number)
                    for publisher, numbers in enumerate(groups):
                        self.assertEqual(list(range(1, len(numbers) + 1)), numbers, f"{name}, group {publisher}")
                        # The last one may be there without an answer.
                        self.assertIn(len(numbers) - state[publisher], (0, 1), f"{name}, group {publisher}")
                self.assertEqual(0, broker.stop())
        self.assertGreater(sum(state), 10 * ROUNDS)
        print(f"{sum(state)} answered in order over {ROUNDS} kills", file=sys.stderr)

    def receive_all(self, server, name, once=False):
        """How often each body is there, in the order they came; receives and deletes until three receives bring
        nothing. `once`: none may come twice."""
        found, empty = {}, 0
        for _ in range(RECEIVES_MAX):
            body = self.well(sqs(server, "ReceiveMessage", QueueUrl=name, MaxNumberOfMessages=10, WaitTimeSeconds=1))
            texts = [text.replace("&quot;", '"').replace("&amp;", "&")
                     for text in re.findall("<Body>(.*?)</Body>", body, re.DOTALL)]
            empty = 0 if texts else empty + 1
            if empty == 3:
                return found
            for text in texts:
                found[text] = found.get(text, 0) + 1
                self.assertFalse(once and found[text] > 1, f"{name} has '{text}' twice")
            handles = re.findall("<ReceiptHandle>(.*?)</ReceiptHandle>", body)
            if handles:
                entries = {}
                for number, handle in enumerate(handles, 1):
                    entries[f"DeleteMessageBatchRequestEntry.{number}.Id"] = str(number)
                    entries[f"DeleteMessageBatchRequestEntry.{number}.ReceiptHandle"] = handle
                self.well(sqs(server, "DeleteMessageBatch", QueueUrl=name, **entries))
        self.fail(f"{name} does not end")

    def test_what_was_answered_is_in_every_queue_that_wants_it(self):
        answered = []
        with tempfile.TemporaryDirectory() as folder:
            data = os.path.join(folder, "data")
            with Broker(data, "--shards", "2", http="127.0.0.1:0") as broker:
                self.set_up(broker.http)
                self.publish_until_killed(broker, 0, answered)
            for round_number in range(1, ROUNDS):
                with Broker(data, "--shards", "2", http="127.0.0.1:0") as broker:
                    self.publish_until_killed(broker, round_number, answered)
            with Broker(data, "--shards", "2", http="127.0.0.1:0") as broker:
                raw, even = (self.receive_all(broker.http, name) for name in ("raw", "even"))
                enveloped = {}
                for text, count in self.receive_all(broker.http, "enveloped").items():
                    message = json.loads(text)["Message"]
                    enveloped[message] = enveloped.get(message, 0) + count
                self.assertEqual(0, broker.stop())
        self.assertGreater(len(answered), 10 * ROUNDS)
        even_wanted = [text for text in answered if json.loads(text)["even"]]
        for name, found, wanted in (("raw", raw, answered), ("enveloped", enveloped, answered),
                                    ("even", even, even_wanted)):
            self.assertEqual([], [text for text in wanted if text not in found], f"{name} has lost what was answered")
            self.assertEqual([], [text for text, count in found.items() if count > 1], f"{name} has it twice")
            # What was under way when a kill came, and no more.
            self.assertLessEqual(len(found) - len(wanted), PUBLISHERS * ROUNDS, name)
        self.assertEqual(set(raw), set(enveloped), "a message is in one queue and not in the other")
        self.assertEqual({text for text in raw if json.loads(text)["even"]}, set(even), "a message is in one queue only")
        self.assertTrue(all(json.loads(text)["even"] for text in even), "what the filter keeps away is there")
        print(f"{len(answered)} answered over {ROUNDS} kills; raw has {len(raw)}", file=sys.stderr)


if __name__ == "__main__":
    programs.use_programs(*sys.argv[1:3])
    unittest.main(argv=sys.argv[:1])
