"""What goes in by one protocol comes out by the other, the same: binary by `millrace`, HTTP by boto3.

Arguments: millraced, millrace.
"""

import json
import unittest
from concurrent.futures import ThreadPoolExecutor

import boto3

from server import arn, attribute_md5, body_md5, serve

LONG_POLL_SECONDS = 20
BODY = "line one\r\nline two ü ✓ 🚀 <&>\"'"

SERVER = None


def as_handle(receipt):
    """The command line writes the same 24 bytes in the alphabet that needs no quotes."""
    return receipt.translate(str.maketrans("-_", "+/"))


def as_receipt(handle):
    return handle.translate(str.maketrans("+/", "-_"))


class Crossing(unittest.TestCase):
    def setUp(self):
        self.sqs = boto3.client("sqs", endpoint_url=SERVER.endpoint)

    def make(self, name, **attributes):
        return self.sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]

    def receive(self, url, **more):
        return self.sqs.receive_message(QueueUrl=url, AttributeNames=["All"], MessageAttributeNames=["All"],
                                        MaxNumberOfMessages=10, **more).get("Messages", [])

    def test_sent_by_binary_received_by_http(self):
        url = self.make("to-http")
        sent, = SERVER.command("send", "to-http", "--attr", "color=blue", "--attr", "count:Number=3",
                               "--group", "tenant", stdin=BODY.encode())
        message, = self.receive(url)
        attributes = {"color": {"DataType": "String", "StringValue": "blue"},
                      "count": {"DataType": "Number", "StringValue": "3"}}
        self.assertEqual((sent["ids"][0], BODY, body_md5(BODY), attributes, attribute_md5(attributes), "tenant"), (
            message["MessageId"], message["Body"], message["MD5OfBody"], message["MessageAttributes"],
            message["MD5OfMessageAttributes"], message["Attributes"]["MessageGroupId"]))
        # What HTTP leased, binary acknowledges.
        SERVER.command("ack", "to-http", as_receipt(message["ReceiptHandle"]))
        self.assertEqual((0, 0, 0), SERVER.counters("to-http"))

    def test_sent_by_http_received_by_binary(self):
        url = self.make("to-binary")
        sent = self.sqs.send_message(
            QueueUrl=url, MessageBody=BODY, MessageGroupId="tenant",
            MessageAttributes={"color": {"DataType": "String", "StringValue": "blue"},
                               "precise": {"DataType": "Number.float", "StringValue": "-1.50E-3"}},
            MessageSystemAttributes={"AWSTraceHeader": {"DataType": "String", "StringValue": "Root=1"}})
        message, = SERVER.command("receive", "to-binary")
        self.assertEqual((sent["MessageId"], BODY, "tenant", 1), tuple(
            message[name] for name in ("id", "body", "group", "receive_count")))
        self.assertEqual({"color": {"type": "String", "value": "blue"},
                          "precise": {"type": "Number.float", "value": "-1.50E-3"}},
                         {name: value for name, value in message["attributes"].items() if name in ("color", "precise")})
        # What binary leased, HTTP makes visible, leases itself and deletes.
        self.sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=as_handle(message["receipt"]),
                                           VisibilityTimeout=0)
        again, = self.receive(url)
        self.assertEqual(("2", str(message["sent_at_ms"]), "Root=1"), tuple(again["Attributes"][name] for name in (
            "ApproximateReceiveCount", "SentTimestamp", "AWSTraceHeader")))
        self.sqs.delete_message(QueueUrl=url, ReceiptHandle=again["ReceiptHandle"])
        self.assertEqual((0, 0, 0), SERVER.counters("to-binary"))

    def test_a_fifo_queue_is_one_order_and_one_window_for_both(self):
        url = self.make("both.fifo", FifoQueue="true")
        first = self.sqs.send_message(QueueUrl=url, MessageBody="1", MessageGroupId="g", MessageDeduplicationId="a")
        again, = SERVER.command("send", "both.fifo", "1", "--group", "g", "--dedup", "a")
        second, = SERVER.command("send", "both.fifo", "2", "--group", "g", "--dedup", "b")
        repeated = self.sqs.send_message(QueueUrl=url, MessageBody="2", MessageGroupId="g", MessageDeduplicationId="b")
        self.assertEqual((first["MessageId"], first["SequenceNumber"]), (again["ids"][0], again["sequence_numbers"][0]))
        self.assertEqual((second["ids"][0], second["sequence_numbers"][0]),
                         (repeated["MessageId"], repeated["SequenceNumber"]))
        by_http = self.receive(url, VisibilityTimeout=0)
        by_binary = SERVER.command("receive", "both.fifo", "--max", "10")
        self.assertEqual(
            [(one["MessageId"], one["Body"], *(one["Attributes"][name] for name in (
                "SequenceNumber", "MessageGroupId", "MessageDeduplicationId"))) for one in by_http],
            [tuple(one[name] for name in ("id", "body", "sequence_number", "group", "deduplication_id"))
             for one in by_binary])
        self.assertEqual(["1", "2"], [one["Body"] for one in by_http])

    def test_a_queue_is_the_same_to_both(self):
        SERVER.command("queue", "create", "dead")
        SERVER.command("queue", "create", "shared", "--set", "VisibilityTimeout=60", "--dlq", "dead",
                       "--max-receives", "4")
        url = self.sqs.get_queue_url(QueueName="shared")["QueueUrl"]
        self.sqs.set_queue_attributes(QueueUrl=url, Attributes={"DelaySeconds": "7"})
        self.sqs.tag_queue(QueueUrl=url, Tags={"team": "orders"})
        SERVER.command("send", "shared", "later")
        SERVER.command("send", "shared", "now", "--delay", "0")
        shown = SERVER.show("shared")
        seen = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        self.assertEqual({"deadLetterTargetArn": arn("dead"), "maxReceiveCount": 4}, json.loads(seen["RedrivePolicy"]))
        for name in ("VisibilityTimeout", "DelaySeconds", "MaximumMessageSize", "MessageRetentionPeriod"):
            self.assertEqual(str(shown["attributes"][name]), seen[name])
        self.assertEqual({"team": "orders"}, shown["tags"])
        self.assertEqual((1, 0, 1), SERVER.counters("shared"))
        self.assertEqual(("1", "0", "1"), tuple(seen[f"ApproximateNumberOfMessages{state}"]
                                                for state in ("", "NotVisible", "Delayed")))
        SERVER.command("queue", "delete", "shared")
        with self.assertRaises(self.sqs.exceptions.QueueDoesNotExist):
            self.sqs.get_queue_url(QueueName="shared")

    def test_each_wakes_the_other(self):
        url = self.make("wake")
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(self.receive, url, WaitTimeSeconds=LONG_POLL_SECONDS)
            SERVER.command("send", "wake", "from binary")
            self.assertEqual(["from binary"], [one["Body"] for one in waiting.result()])
            waiting = pool.submit(SERVER.command, "receive", "wake", "--wait", str(LONG_POLL_SECONDS))
            self.sqs.send_message(QueueUrl=url, MessageBody="from HTTP")
            self.assertEqual(["from HTTP"], [one["body"] for one in waiting.result()])


if __name__ == "__main__":
    import sys
    SERVER = serve()
    unittest.main(argv=sys.argv[:1], warnings="ignore")
