"""What is published through boto3 is what queues get: raw and in envelopes whose signature another library finds right,
through filters, in batches, to dead-letter queues; and only where policies let it.

Arguments: millraced, millrace.
"""

import json
import sys
import unittest

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from letters import check_signature
from server import STRICT, arn, serve

SERVER = None


def client(service):
    return boto3.client(service, endpoint_url=SERVER.endpoint, config=Config(retries={"max_attempts": 0}))


class Deliveries(unittest.TestCase):
    def setUp(self):
        self.sns, self.sqs = client("sns"), client("sqs")
        self.name = self.id().rsplit(".", 1)[1][:60]
        self.topic = self.sns.create_topic(Name=self.name)["TopicArn"]
        self.made = 0

    def queue(self, allowed=True, **attributes):
        """A new queue, by URL and ARN, to which this test's topic may send."""
        self.made += 1
        name = f"{self.name}-{self.made}"
        if allowed:
            attributes["Policy"] = json.dumps({"Version": "2012-10-17", "Statement": [{
                "Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage",
                "Resource": arn(name), "Condition": {"ArnEquals": {"aws:SourceArn": self.topic}}}]})
        return self.sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"], arn(name)

    def subscribe(self, endpoint, **attributes):
        return self.sns.subscribe(TopicArn=self.topic, Protocol="sqs", Endpoint=endpoint, Attributes=attributes,
                                  ReturnSubscriptionArn=True)["SubscriptionArn"]

    def receive(self, url):
        return self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, AttributeNames=["All"],
                                        MessageAttributeNames=["All"], VisibilityTimeout=60).get("Messages", [])

    def bodies(self, url):
        return sorted(message["Body"] for message in self.receive(url))

    def publish(self, message, **more):
        return self.sns.publish(TopicArn=self.topic, Message=message, **more)["MessageId"]

    def test_raw_delivery_keeps_attributes(self):
        url, queue = self.queue()
        self.subscribe(queue, RawMessageDelivery="true")
        attributes = {"color": {"DataType": "String", "StringValue": "blue"},
                      "sizes": {"DataType": "String.Array", "StringValue": '["a",1,true,null]'},
                      "raw": {"DataType": "Binary", "BinaryValue": bytes(range(256))},
                      "count": {"DataType": "Number", "StringValue": "3.5"}}
        text = "a\r\nb\tc <&>\"' ü ✓ 🚀"
        self.publish(text, MessageAttributes=attributes, Subject="lost")
        [message] = self.receive(url)
        self.assertEqual((text, attributes), (message["Body"], message["MessageAttributes"]))

    def test_an_envelope_has_a_signature_that_another_library_finds_right(self):
        url, queue = self.queue()
        subscription = self.subscribe(queue)
        for version in ("1", "2"):
            self.sns.set_topic_attributes(TopicArn=self.topic, AttributeName="SignatureVersion", AttributeValue=version)
            text = 'a "text" of two\nlines, ü ✓ 🚀'
            sent = self.publish(text, Subject="ü subject", MessageAttributes={
                "blob": {"DataType": "Binary", "BinaryValue": b"\x01\x02\x03"}})
            [message] = self.receive(url)
            self.assertNotIn("MessageAttributes", message)
            envelope = json.loads(message["Body"])
            self.assertEqual(["Type", "MessageId", "TopicArn", "Subject", "Message", "Timestamp", "SignatureVersion",
                              "Signature", "SigningCertURL", "UnsubscribeURL", "MessageAttributes"], list(envelope))
            self.assertEqual(("Notification", sent, self.topic, "ü subject", text, version),
                             tuple(envelope[key] for key in ("Type", "MessageId", "TopicArn", "Subject", "Message",
                                                             "SignatureVersion")))
            self.assertEqual({"blob": {"Type": "Binary", "Value": "AQID"}}, envelope["MessageAttributes"])
            self.assertTrue(envelope["UnsubscribeURL"].endswith(f"/?Action=Unsubscribe&SubscriptionArn={subscription}"))
            check_signature(envelope)
            envelope["Message"] += "!"
            with self.assertRaises(Exception):
                check_signature(envelope)
            self.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])

    def test_each_queue_gets_what_its_filter_lets_through(self):
        reds, red = self.queue()
        bigs, big = self.queue()
        everything, all_of_it = self.queue()
        self.subscribe(red, RawMessageDelivery="true", FilterPolicy='{"color":["red"]}')
        self.subscribe(big, RawMessageDelivery="true", FilterPolicyScope="MessageBody",
                       FilterPolicy='{"order":{"total":[{"numeric":[">=",100]}]}}')
        self.subscribe(all_of_it, RawMessageDelivery="true")
        cheap, dear = '{"order":{"total":99.99}}', '{"order":{"total":100}}'
        self.publish(cheap, MessageAttributes={"color": {"DataType": "String", "StringValue": "red"}})
        self.publish(dear, MessageAttributes={"color": {"DataType": "String", "StringValue": "blue"}})
        self.assertEqual([cheap], self.bodies(reds))
        self.assertEqual([dear], self.bodies(bigs))
        self.assertEqual(sorted([cheap, dear]), self.bodies(everything))

    def test_a_batch_with_one_bad_entry(self):
        url, queue = self.queue()
        self.subscribe(queue, RawMessageDelivery="true")
        answer = self.sns.publish_batch(TopicArn=self.topic, PublishBatchRequestEntries=[
            {"Id": "1", "Message": "one"}, {"Id": "2", "Message": ""},
            {"Id": "3", "Message": '{"default":"d","sqs":"three"}', "MessageStructure": "json"}])
        self.assertEqual(["1", "3"], [one["Id"] for one in answer["Successful"]])
        self.assertEqual([{"Id": "2", "Code": "InvalidParameter", "Message": "Invalid parameter: Empty message",
                           "SenderFault": True}], answer["Failed"])
        self.assertEqual(["one", "three"], self.bodies(url))

    def fifo(self, **attributes):
        """A FIFO topic of this test's, and functions that make it a subscribed queue and publish to it."""
        topic = self.sns.create_topic(Name=f"{self.name}.fifo", Attributes={"FifoTopic": "true", **attributes})["TopicArn"]

        def queue(name, fifo=True, **more):
            name = f"{self.name}-{name}" + (".fifo" if fifo else "")
            policy = {"Version": "2012-10-17", "Statement": [{
                "Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage",
                "Resource": arn(name), "Condition": {"ArnEquals": {"aws:SourceArn": topic}}}]}
            url = self.sqs.create_queue(QueueName=name, Attributes={
                "Policy": json.dumps(policy), **({"FifoQueue": "true"} if fifo else {})})["QueueUrl"]
            self.sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn(name), Attributes=more)
            return url
        return queue, lambda message, **more: self.sns.publish(TopicArn=topic, Message=message, **more), topic

    def test_a_fifo_topic_keeps_order_and_drops_duplicates(self):
        queue, publish, topic = self.fifo(ContentBasedDeduplication="true")
        raw, enveloped = queue("raw", RawMessageDelivery="true"), queue("enveloped")
        standard = queue("standard", fifo=False, RawMessageDelivery="true")
        answers = [publish(f"m{i}", MessageGroupId="g", MessageAttributes={
            "n": {"DataType": "Number", "StringValue": str(i)}}) for i in range(8)]
        numbers = [answer["SequenceNumber"] for answer in answers]
        self.assertEqual(sorted(numbers), numbers)
        self.assertEqual({20}, {len(number) for number in numbers})
        again = publish("m3", MessageGroupId="g")
        self.assertEqual((answers[3]["MessageId"], numbers[3]), (again["MessageId"], again["SequenceNumber"]))
        # An id of its own counts, whatever the text.
        publish("m3", MessageGroupId="g", MessageDeduplicationId="another")
        wanted = [f"m{i}" for i in range(8)] + ["m3"]
        got = self.receive(raw)
        self.assertEqual(wanted, [one["Body"] for one in got])
        self.assertEqual({"g"}, {one["Attributes"]["MessageGroupId"] for one in got})
        self.assertEqual("another", got[-1]["Attributes"]["MessageDeduplicationId"])
        self.assertEqual("5", got[5]["MessageAttributes"]["n"]["StringValue"])
        envelopes = [json.loads(one["Body"]) for one in self.receive(enveloped)]
        self.assertEqual(wanted, [one["Message"] for one in envelopes])
        self.assertEqual([(answer["MessageId"], answer["SequenceNumber"]) for answer in answers],
                         [(one["MessageId"], one["SequenceNumber"]) for one in envelopes[:8]])
        self.assertEqual(["Type", "MessageId", "SequenceNumber", "TopicArn", "Message", "Timestamp", "UnsubscribeURL",
                          "MessageAttributes"], list(envelopes[0]))
        others = self.receive(standard)
        self.assertEqual(sorted(wanted), sorted(one["Body"] for one in others))
        self.assertNotIn("MessageGroupId", others[0]["Attributes"])

    def test_a_fifo_topic_whose_ids_count_for_each_group(self):
        queue, publish, topic = self.fifo(FifoThroughputScope="MessageGroup")
        url = queue("raw", RawMessageDelivery="true")
        self.sqs.set_queue_attributes(QueueUrl=url, Attributes={"DeduplicationScope": "messageGroup",
                                                                "FifoThroughputLimit": "perMessageGroupId"})
        for group in "a", "b", "a":
            publish(f"of {group}", MessageGroupId=group, MessageDeduplicationId="1")
        self.assertEqual(["of a", "of b"], self.bodies(url))

    def test_a_batch_to_a_fifo_topic(self):
        queue, publish, topic = self.fifo()
        url = queue("raw", RawMessageDelivery="true")
        answer = self.sns.publish_batch(TopicArn=topic, PublishBatchRequestEntries=[
            {"Id": str(i), "Message": "" if i == 4 else f"b{i}", "MessageGroupId": "g",
             "MessageDeduplicationId": str(i % 8)} for i in range(10)])
        self.assertEqual([str(i) for i in range(10) if i != 4], [one["Id"] for one in answer["Successful"]])
        self.assertEqual(["4"], [one["Id"] for one in answer["Failed"]])
        numbers = [one["SequenceNumber"] for one in answer["Successful"]]
        self.assertEqual(sorted(numbers[:7]), numbers[:7])
        self.assertEqual(numbers[:2], numbers[7:])  # what repeats the first two
        self.assertEqual([f"b{i}" for i in range(8) if i != 4], [one["Body"] for one in self.receive(url)])

    def test_a_queue_that_is_gone_has_its_subscriptions_dead_letter_queue(self):
        url, queue = self.queue()
        dead_url, dead = self.queue()
        self.subscribe(queue, RawMessageDelivery="true", RedrivePolicy=json.dumps({"deadLetterTargetArn": dead}))
        self.sqs.delete_queue(QueueUrl=url)
        self.publish("kept")
        self.assertEqual(["kept"], self.bodies(dead_url))

    def test_a_queue_whose_policy_does_not_name_the_topic_gets_nothing(self):
        url, queue = self.queue(allowed=False)
        self.subscribe(queue, RawMessageDelivery="true")
        self.publish("forbidden")
        self.assertEqual([], self.bodies(url))

    def test_limits_and_one_past(self):
        url, queue = self.queue()
        self.subscribe(queue, RawMessageDelivery="true")
        most = "x" * 262_144
        self.publish(most)
        self.assertEqual([most], self.bodies(url))
        for code, text, parameters in (
                ("InvalidParameter", "Invalid parameter: Message too long", {"Message": most + "x"}),
                ("InvalidParameter", "Invalid parameter: Subject", {"Message": "m", "Subject": "s" * 101}),
                ("ParameterValueInvalid", "must use field 'String'", {"Message": "m", "MessageAttributes": {
                    "a": {"DataType": "String", "BinaryValue": b"x"}}})):
            with self.assertRaises(ClientError) as raised:
                self.sns.publish(TopicArn=self.topic, **parameters)
            error = raised.exception.response["Error"]
            self.assertEqual(code, error["Code"])
            self.assertIn(text, error["Message"])
        entries = [{"Id": str(number), "Message": "m"} for number in range(11)]
        with self.assertRaises(self.sns.exceptions.TooManyEntriesInBatchRequestException):
            self.sns.publish_batch(TopicArn=self.topic, PublishBatchRequestEntries=entries)
        self.assertEqual(10, len(self.sns.publish_batch(TopicArn=self.topic,
                                                        PublishBatchRequestEntries=entries[:10])["Successful"]))


if __name__ == "__main__":
    SERVER = serve(credentials=STRICT)
    unittest.main(argv=sys.argv[:1], warnings="ignore")
