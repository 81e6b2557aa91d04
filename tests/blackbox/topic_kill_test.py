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

    def receive_all(self, server, name):
        """How often each body is there; receives and deletes until three receives bring nothing."""
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
