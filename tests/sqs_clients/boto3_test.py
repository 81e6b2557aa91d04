"""What boto3 programs do, against the real server: all queue, message and batch calls and their errors.

Runs under any botocore: old ones speak the Query protocol and new ones JSON, and both must see the same.
"""

import json
import threading
import time
import unittest
from concurrent.futures import ThreadPoolExecutor

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, ReadTimeoutError

from server import STRICT, arn, attribute_md5, body_md5, serve

LONG_POLL_SECONDS = 20
TRIES_MAX = 100
BIG_MESSAGE_BYTES = 1 << 20
BATCH_MAX = 10

SERVER = None


def client(**config):
    return boto3.client("sqs", endpoint_url=SERVER.endpoint,
                        config=Config(retries={"max_attempts": 0}, **config))


class Sqs(unittest.TestCase):
    def setUp(self):
        self.sqs = client()
        self.made = 0

    def queue(self, suffix="", **attributes):
        """A new queue of this test, by URL."""
        self.made += 1
        name = f"{self.id().rsplit('.', 1)[1][:60]}-{self.made}{suffix}"
        if suffix == ".fifo":
            attributes["FifoQueue"] = "true"
        return self.sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]

    def attributes(self, url, *names):
        return self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names or ["All"])["Attributes"]

    def arn_of(self, url):
        return self.attributes(url, "QueueArn")["QueueArn"]

    def receive(self, url, count=BATCH_MAX, **options):
        options = {"AttributeNames": ["All"], "MessageAttributeNames": ["All"], **options}
        return self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=count,
                                        **options).get("Messages", [])

    def bodies(self, url, **options):
        return [message["Body"] for message in self.receive(url, **options)]

    def refused(self, code, status, call, **parameters):
        with self.assertRaises(ClientError) as raised:
            call(**parameters)
        answer = raised.exception.response
        self.assertEqual((code, status),
                         (answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]),
                         answer["Error"]["Message"])
        self.assertTrue(answer["ResponseMetadata"]["RequestId"])
        return raised.exception


class Queues(Sqs):
    def test_a_fresh_standard_queue_has_the_attributes_of_the_service(self):
        attributes = self.attributes(self.queue())
        created = attributes.pop("CreatedTimestamp")
        self.assertEqual(created, attributes.pop("LastModifiedTimestamp"))
        self.assertLess(abs(int(created) - time.time()), 60)
        self.assertTrue(attributes.pop("QueueArn").startswith(arn("test_a_fresh_standard")))
        self.assertEqual({
            "ApproximateNumberOfMessages": "0", "ApproximateNumberOfMessagesDelayed": "0",
            "ApproximateNumberOfMessagesNotVisible": "0", "DelaySeconds": "0",
            "MaximumMessageSize": "1048576", "MessageRetentionPeriod": "345600",
            "ReceiveMessageWaitTimeSeconds": "0", "SqsManagedSseEnabled": "true",
            "VisibilityTimeout": "30"}, attributes)

    def test_a_fresh_fifo_queue_has_four_more(self):
        attributes = self.attributes(self.queue(".fifo", ContentBasedDeduplication="true"))
        self.assertEqual(("true", "true", "queue", "perQueue"),
                         tuple(attributes[name] for name in (
                             "FifoQueue", "ContentBasedDeduplication", "DeduplicationScope",
                             "FifoThroughputLimit")))

    def test_attributes_set_are_read_back_and_no_others_change(self):
        url = self.queue()
        wanted = {"VisibilityTimeout": "60", "MessageRetentionPeriod": "1209600", "DelaySeconds": "5",
                  "MaximumMessageSize": "262144", "ReceiveMessageWaitTimeSeconds": "20"}
        before = self.attributes(url)
        self.sqs.set_queue_attributes(QueueUrl=url, Attributes=wanted)
        after = self.attributes(url)
        self.assertEqual({**before, **wanted}, {**after, "LastModifiedTimestamp":
                                                before["LastModifiedTimestamp"]})
        self.assertEqual({"DelaySeconds": "5"}, self.attributes(url, "DelaySeconds"))

    def test_making_a_queue_again_answers_its_url_unless_it_would_differ(self):
        url = self.queue(VisibilityTimeout="60")
        name = url.rsplit("/", 1)[1]
        self.assertEqual(url, self.sqs.create_queue(QueueName=name)["QueueUrl"])
        self.assertEqual(url, self.sqs.create_queue(
            QueueName=name, Attributes={"VisibilityTimeout": "60"})["QueueUrl"])
        error = self.refused("QueueAlreadyExists", 400, self.sqs.create_queue, QueueName=name,
                             Attributes={"VisibilityTimeout": "61"})
        self.assertIsInstance(error, self.sqs.exceptions.QueueNameExists)
        self.assertEqual("A queue already exists with the same name and a different value for "
                         "attribute VisibilityTimeout", error.response["Error"]["Message"])

    def test_a_queue_url_is_on_the_host_that_was_asked(self):
        url = self.queue()
        name = url.rsplit("/", 1)[1]
        self.assertEqual(SERVER.queue_url(name), url)
        self.assertEqual(url, self.sqs.get_queue_url(QueueName=name)["QueueUrl"])
        elsewhere = boto3.client("sqs", endpoint_url=SERVER.endpoint.replace("127.0.0.1", "localhost"))
        self.assertEqual(url.replace("127.0.0.1", "localhost"),
                         elsewhere.get_queue_url(QueueName=name)["QueueUrl"])

    def test_listing_pages_through_all_queues_of_a_prefix(self):
        made = {self.sqs.create_queue(QueueName=f"page-{number:02}")["QueueUrl"]
                for number in range(25)}
        pages = list(self.sqs.get_paginator("list_queues").paginate(
            QueueNamePrefix="page-", PaginationConfig={"PageSize": 10}))
        self.assertEqual([10, 10, 5], [len(page["QueueUrls"]) for page in pages])
        self.assertEqual(made, {url for page in pages for url in page["QueueUrls"]})
        whole = self.sqs.list_queues(QueueNamePrefix="page-")
        self.assertEqual((made, False), (set(whole["QueueUrls"]), "NextToken" in whole))
        self.assertNotIn("QueueUrls", self.sqs.list_queues(QueueNamePrefix="nobody-"))

    def test_tags_are_kept_overwritten_and_taken_off(self):
        url = self.sqs.create_queue(QueueName="tagged", tags={"team": "orders"})["QueueUrl"]
        self.sqs.tag_queue(QueueUrl=url, Tags={"team": "payments", "cost centre": "4 + 2"})
        self.assertEqual({"team": "payments", "cost centre": "4 + 2"},
                         self.sqs.list_queue_tags(QueueUrl=url)["Tags"])
        self.sqs.untag_queue(QueueUrl=url, TagKeys=["team", "cost centre", "no such"])
        self.assertNotIn("Tags", self.sqs.list_queue_tags(QueueUrl=url))

    def test_permissions_become_statements_of_the_policy(self):
        url = self.queue()
        self.sqs.add_permission(QueueUrl=url, Label="partner", AWSAccountIds=["111122223333"],
                                Actions=["SendMessage"])
        policy = json.loads(self.attributes(url, "Policy")["Policy"])
        self.assertEqual([{"Sid": "partner", "Effect": "Allow",
                           "Principal": {"AWS": "arn:aws:iam::111122223333:root"},
                           "Action": "SQS:SendMessage", "Resource": self.arn_of(url)}],
                         policy["Statement"])
        self.sqs.remove_permission(QueueUrl=url, Label="partner")
        self.assertNotIn("Policy", self.attributes(url))
        self.refused("InvalidParameterValue", 400, self.sqs.remove_permission, QueueUrl=url,
                     Label="partner")

    def test_a_policy_is_returned_as_the_text_that_was_set(self):
        url = self.queue()
        policy = json.dumps({"Version": "2012-10-17", "Statement": [{
            "Sid": "AllowCrossAccountAccess", "Effect": "Allow",
            "Principal": {"AWS": "arn:aws:iam::987654321098:root"},
            "Action": ["sqs:SendMessage", "sqs:ReceiveMessage"], "Resource": self.arn_of(url)}]}, indent=2)
        self.sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
        self.assertEqual(policy, self.attributes(url)["Policy"])
        self.sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": ""})
        self.assertNotIn("Policy", self.attributes(url))

    def test_a_deleted_queue_is_gone_at_once(self):
        url = self.queue()
        self.sqs.delete_queue(QueueUrl=url)
        for call, more in ((self.sqs.get_queue_attributes, {"AttributeNames": ["All"]}),
                           (self.sqs.send_message, {"MessageBody": "late"}),
                           (self.sqs.receive_message, {}), (self.sqs.purge_queue, {}),
                           (self.sqs.delete_queue, {})):
            error = self.refused("AWS.SimpleQueueService.NonExistentQueue", 400, call, QueueUrl=url, **more)
            self.assertIsInstance(error, self.sqs.exceptions.QueueDoesNotExist)

    def test_the_resource_interface_works_too(self):
        queue = boto3.resource("sqs", endpoint_url=SERVER.endpoint).create_queue(QueueName="resource")
        queue.send_messages(Entries=[{"Id": str(n), "MessageBody": f"body {n}"} for n in range(5)])
        got = queue.receive_messages(MaxNumberOfMessages=BATCH_MAX, WaitTimeSeconds=1)
        self.assertEqual([f"body {n}" for n in range(5)], [message.body for message in got])
        for message in got:
            message.delete()
        queue.load()
        self.assertEqual("0", queue.attributes["ApproximateNumberOfMessagesNotVisible"])


class Messages(Sqs):
    ATTRIBUTES = {
        "color": {"DataType": "String", "StringValue": "blue"},
        "count": {"DataType": "Number", "StringValue": "3"},
        "blob": {"DataType": "Binary", "BinaryValue": b"\x01\x02\x03"},
        "every.byte": {"DataType": "Binary.raw", "BinaryValue": bytes(range(256))},
        "emoji": {"DataType": "String.text", "StringValue": "🚀 go\r\n<&\"'>\tö"},
        "precise": {"DataType": "Number.float", "StringValue": "-1.50E-3"},
    }

    def test_body_attributes_and_digests_come_through_unharmed(self):
        url = self.queue()
        body = "a\r\nb\tc <&>\"' ü ✓ 🚀 ]]> &#xD; \u0085\u2028 end "
        sent = self.sqs.send_message(QueueUrl=url, MessageBody=body, MessageAttributes=self.ATTRIBUTES)
        self.assertEqual(body_md5(body), sent["MD5OfMessageBody"])
        self.assertEqual(attribute_md5(self.ATTRIBUTES), sent["MD5OfMessageAttributes"])
        message, = self.receive(url)
        self.assertEqual((sent["MessageId"], body, body_md5(body)),
                         (message["MessageId"], message["Body"], message["MD5OfBody"]))
        self.assertEqual(self.ATTRIBUTES, message["MessageAttributes"])
        self.assertEqual(attribute_md5(self.ATTRIBUTES), message["MD5OfMessageAttributes"])

    def test_the_digests_are_those_that_the_service_answered(self):
        url = self.queue()
        three = {name: self.ATTRIBUTES[name] for name in ("color", "count", "blob")}
        sent = self.sqs.send_message(QueueUrl=url, MessageBody="hello", MessageAttributes=three)
        self.assertEqual(("5d41402abc4b2a76b9719d911017c592", "d838729972a4b70e2d2acd9d59ac847c"),
                         (sent["MD5OfMessageBody"], sent["MD5OfMessageAttributes"]))
        traced = self.sqs.send_message(QueueUrl=url, MessageBody="hello", MessageSystemAttributes={
            "AWSTraceHeader": {"DataType": "String", "StringValue":
                               "Root=1-5759e988-bd862e3fe1be46a994272793;"
                               "Parent=53995c3f42cd8ad8;Sampled=1"}})
        self.assertEqual("5ae4d5d7636402d80f4eb6d213245a88", traced["MD5OfMessageSystemAttributes"])

    def test_of_attributes_those_asked_for_are_returned_and_digested(self):
        url = self.queue()
        self.sqs.send_message(QueueUrl=url, MessageBody="x", MessageAttributes=self.ATTRIBUTES)
        for asked, expected in ((["color"], {"color"}), (["co.*"], {"color", "count"}),
                                (["no such"], set()), ([".*"], set(self.ATTRIBUTES)),
                                (["All"], set(self.ATTRIBUTES))):
            with self.subTest(asked=asked):
                message, = self.receive(url, VisibilityTimeout=0, MessageAttributeNames=asked)
                subset = {name: self.ATTRIBUTES[name] for name in expected}
                self.assertEqual(subset, message.get("MessageAttributes", {}))
                self.assertEqual(attribute_md5(subset) if subset else None,
                                 message.get("MD5OfMessageAttributes"))

    def test_system_attributes_are_strings_and_only_those_asked_for(self):
        url = self.queue()
        self.sqs.send_message(QueueUrl=url, MessageBody="x")
        message, = self.receive(url, VisibilityTimeout=0)
        attributes = message["Attributes"]
        self.assertEqual({"SenderId", "SentTimestamp", "ApproximateReceiveCount",
                          "ApproximateFirstReceiveTimestamp"}, set(attributes))
        self.assertEqual("1", attributes["ApproximateReceiveCount"])
        self.assertLess(abs(int(attributes["SentTimestamp"]) / 1000 - time.time()), 60)
        message, = self.receive(url, VisibilityTimeout=0, AttributeNames=["ApproximateReceiveCount"])
        self.assertEqual({"ApproximateReceiveCount": "2"}, message["Attributes"])
        message, = self.receive(url, VisibilityTimeout=0, AttributeNames=[])
        self.assertNotIn("Attributes", message)

    def test_a_message_is_hidden_while_leased_and_gone_when_deleted(self):
        url = self.queue()
        self.sqs.send_message(QueueUrl=url, MessageBody="once")
        first, = self.receive(url)
        self.assertEqual([], self.receive(url))
        self.assertEqual(("0", "1"), tuple(self.attributes(url)[name] for name in (
            "ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")))
        self.sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=first["ReceiptHandle"],
                                           VisibilityTimeout=0)
        second, = self.receive(url)
        self.assertEqual("2", second["Attributes"]["ApproximateReceiveCount"])
        # An older receive's handle is answered, and deletes nothing.
        self.sqs.delete_message(QueueUrl=url, ReceiptHandle=first["ReceiptHandle"])
        self.assertEqual("1", self.attributes(url)["ApproximateNumberOfMessagesNotVisible"])
        self.sqs.delete_message(QueueUrl=url, ReceiptHandle=second["ReceiptHandle"])
        self.sqs.delete_message(QueueUrl=url, ReceiptHandle=second["ReceiptHandle"])
        self.assertEqual("0", self.attributes(url)["ApproximateNumberOfMessagesNotVisible"])

    def test_what_is_not_deleted_in_time_is_received_again(self):
        url = self.queue(VisibilityTimeout="1")
        sent = self.sqs.send_message(QueueUrl=url, MessageBody="crashed consumer")
        self.assertEqual(1, len(self.receive(url)))
        again, = self.receive(url, WaitTimeSeconds=LONG_POLL_SECONDS)
        self.assertEqual((sent["MessageId"], "2"),
                         (again["MessageId"], again["Attributes"]["ApproximateReceiveCount"]))

    def test_a_delay_hides_a_message_and_its_own_zero_overrides_the_queue(self):
        url = self.queue(DelaySeconds="900")
        self.sqs.send_message(QueueUrl=url, MessageBody="queue's delay")
        self.sqs.send_message(QueueUrl=url, MessageBody="at once", DelaySeconds=0)
        self.sqs.send_message(QueueUrl=url, MessageBody="soon", DelaySeconds=1)
        self.assertEqual(["at once"], self.bodies(url))
        self.assertEqual("2", self.attributes(url)["ApproximateNumberOfMessagesDelayed"])
        self.assertEqual(["soon"], self.bodies(url, WaitTimeSeconds=LONG_POLL_SECONDS))

    def test_a_long_poll_ends_with_the_message_that_comes(self):
        url = self.queue()
        self.assertEqual([], self.receive(url, WaitTimeSeconds=1))
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(self.receive, url, WaitTimeSeconds=LONG_POLL_SECONDS)
            client().send_message(QueueUrl=url, MessageBody="wake up")
            self.assertEqual("wake up", waiting.result()[0]["Body"])

    def test_a_consumer_that_gives_up_waiting_takes_no_message_with_it(self):
        url = self.queue()
        for number in range(3):
            impatient = client(read_timeout=0.3)
            with self.assertRaises(ReadTimeoutError):
                impatient.receive_message(QueueUrl=url, WaitTimeSeconds=LONG_POLL_SECONDS)
            self.sqs.send_message(QueueUrl=url, MessageBody=f"message {number}")
            message, = self.receive(url)
            self.assertEqual((f"message {number}", "1"),
                             (message["Body"], message["Attributes"]["ApproximateReceiveCount"]))

    def test_each_of_many_waiting_consumers_gets_its_own_message(self):
        url = self.queue()
        consumers = 20
        shared = client(max_pool_connections=consumers)
        with ThreadPoolExecutor(consumers) as pool:
            waiting = [pool.submit(shared.receive_message, QueueUrl=url, MaxNumberOfMessages=1,
                                   WaitTimeSeconds=LONG_POLL_SECONDS) for _ in range(consumers)]
            for number in range(consumers):
                self.sqs.send_message(QueueUrl=url, MessageBody=str(number))
            got = [message["Body"] for one in waiting for message in one.result()["Messages"]]
        self.assertEqual(sorted(map(str, range(consumers))), sorted(got))

    def test_purging_takes_what_is_ready_leased_and_delayed(self):
        url = self.queue()
        for number in range(3):
            self.sqs.send_message(QueueUrl=url, MessageBody=str(number))
        leased, = self.receive(url, count=1)
        self.sqs.send_message(QueueUrl=url, MessageBody="later", DelaySeconds=900)
        self.sqs.purge_queue(QueueUrl=url)
        self.assertEqual({"0"}, {self.attributes(url)[f"ApproximateNumberOfMessages{state}"]
                                 for state in ("", "Delayed", "NotVisible")})
        self.sqs.delete_message(QueueUrl=url, ReceiptHandle=leased["ReceiptHandle"])
        self.refused("AWS.SimpleQueueService.PurgeQueueInProgress", 403, self.sqs.purge_queue, QueueUrl=url)

    def test_a_message_of_a_mebibyte_is_allowed_and_one_byte_more_is_not(self):
        url = self.queue()
        body = "m" * (BIG_MESSAGE_BYTES - 11)
        attribute = {"n": {"DataType": "String", "StringValue": "four"}}
        sent = self.sqs.send_message(QueueUrl=url, MessageBody=body, MessageAttributes=attribute)
        message, = self.receive(url)
        self.assertEqual((sent["MessageId"], body), (message["MessageId"], message["Body"]))
        error = self.refused("InvalidParameterValue", 400, self.sqs.send_message, QueueUrl=url,
                             MessageBody=body + "m", MessageAttributes=attribute)
        self.assertIn("Message must be shorter than 1048576 bytes", error.response["Error"]["Message"])


class Batches(Sqs):
    def test_of_a_batch_what_is_right_is_stored_and_what_is_wrong_is_named(self):
        url = self.queue()
        answer = self.sqs.send_message_batch(QueueUrl=url, Entries=[
            {"Id": "good-1", "MessageBody": "one"},
            {"Id": "control", "MessageBody": "a\x01b"},
            {"Id": "late", "MessageBody": "x", "DelaySeconds": 901},
            {"Id": "good-2", "MessageBody": "two", "MessageAttributes": Messages.ATTRIBUTES}])
        self.assertEqual(["good-1", "good-2"], [entry["Id"] for entry in answer["Successful"]])
        self.assertEqual([body_md5("one"), body_md5("two")],
                         [entry["MD5OfMessageBody"] for entry in answer["Successful"]])
        self.assertEqual(attribute_md5(Messages.ATTRIBUTES),
                         answer["Successful"][1]["MD5OfMessageAttributes"])
        self.assertEqual([("control", "InvalidMessageContents", True), ("late", "InvalidParameterValue", True)],
                         [(entry["Id"], entry["Code"], entry["SenderFault"]) for entry in answer["Failed"]])
        self.assertEqual(["one", "two"], self.bodies(url))

    def test_visibility_and_deletes_come_in_batches_too(self):
        url = self.queue()
        answer = self.sqs.send_message_batch(QueueUrl=url, Entries=[
            {"Id": str(n), "MessageBody": str(n)} for n in range(BATCH_MAX)])
        self.assertEqual((BATCH_MAX, False), (len(answer["Successful"]), "Failed" in answer))
        handles = [message["ReceiptHandle"] for message in self.receive(url)]
        answer = self.sqs.change_message_visibility_batch(QueueUrl=url, Entries=[
            {"Id": "back", "ReceiptHandle": handles[0], "VisibilityTimeout": 0},
            {"Id": "too-far", "ReceiptHandle": handles[1], "VisibilityTimeout": 43201},
            {"Id": "garbage", "ReceiptHandle": "garbage", "VisibilityTimeout": 1}])
        self.assertEqual(["back"], [entry["Id"] for entry in answer["Successful"]])
        self.assertEqual([("too-far", "InvalidParameterValue"), ("garbage", "ReceiptHandleIsInvalid")],
                         [(entry["Id"], entry["Code"]) for entry in answer["Failed"]])
        back, = self.receive(url)
        self.assertEqual("0", back["Body"])
        answer = self.sqs.delete_message_batch(QueueUrl=url, Entries=[
            {"Id": str(n), "ReceiptHandle": handle} for n, handle in enumerate(
                [back["ReceiptHandle"], *handles[1:-1], "garbage"])])
        self.assertEqual(BATCH_MAX - 1, len(answer["Successful"]))
        self.assertEqual([("9", "ReceiptHandleIsInvalid", True)],
                         [(entry["Id"], entry["Code"], entry["SenderFault"]) for entry in answer["Failed"]])
        self.assertEqual("1", self.attributes(url)["ApproximateNumberOfMessagesNotVisible"])

    def test_a_batch_that_is_wrong_as_a_whole_stores_nothing(self):
        url = self.queue()
        entry = {"Id": "a", "MessageBody": "x"}
        half = {"MessageBody": "m" * (BIG_MESSAGE_BYTES // 2 + 1)}
        for code, entries in (
                ("EmptyBatchRequest", []),
                ("TooManyEntriesInBatchRequest", [{"Id": str(n), "MessageBody": "x"} for n in range(11)]),
                ("BatchEntryIdsNotDistinct", [entry, entry]),
                ("InvalidBatchEntryId", [{**entry, "Id": "no blanks"}]),
                ("BatchRequestTooLong", [{"Id": "a", **half}, {"Id": "b", **half}])):
            with self.subTest(code=code):
                error = self.refused(f"AWS.SimpleQueueService.{code}", 400, self.sqs.send_message_batch,
                                     QueueUrl=url, Entries=entries)
                self.assertIsInstance(error, getattr(self.sqs.exceptions, code))
        self.assertEqual([], self.receive(url))


class Fifo(Sqs):
    def send(self, url, body, group="g", **more):
        return self.sqs.send_message(QueueUrl=url, MessageBody=body, MessageGroupId=group,
                                     **{"MessageDeduplicationId": body, **more})

    def test_a_group_comes_in_order_and_waits_for_what_is_out(self):
        url = self.queue(".fifo")
        sent = [self.send(url, f"{group}{number}", group) for number in range(3) for group in "ab"]
        numbers = [answer["SequenceNumber"] for answer in sent]
        self.assertEqual(numbers, sorted(numbers))
        self.assertEqual({20}, {len(number) for number in numbers})
        first, = self.receive(url, count=1)
        self.assertEqual(("a0", "a", "a0", numbers[0]), (first["Body"], *(
            first["Attributes"][name] for name in ("MessageGroupId", "MessageDeduplicationId", "SequenceNumber"))))
        # The group of the one that is out is passed over; the other comes whole and in order.
        others = self.receive(url)
        self.assertEqual(["b0", "b1", "b2"], [message["Body"] for message in others])
        self.assertEqual([], self.receive(url))
        self.sqs.delete_message(QueueUrl=url, ReceiptHandle=first["ReceiptHandle"])
        self.assertEqual(["a1", "a2"], self.bodies(url))

    def test_a_duplicate_is_answered_with_the_first_and_not_stored(self):
        url = self.queue(".fifo", ContentBasedDeduplication="true")
        first = self.sqs.send_message(QueueUrl=url, MessageBody="hello", MessageGroupId="g")
        again = self.sqs.send_message(QueueUrl=url, MessageBody="hello", MessageGroupId="g")
        self.assertEqual((first["MessageId"], first["SequenceNumber"]),
                         (again["MessageId"], again["SequenceNumber"]))
        explicit = self.send(url, "hello")
        self.assertNotEqual(first["MessageId"], explicit["MessageId"])
        got = self.receive(url)
        self.assertEqual([first["MessageId"], explicit["MessageId"]], [one["MessageId"] for one in got])
        self.assertEqual("2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
                         got[0]["Attributes"]["MessageDeduplicationId"])

    def test_a_late_delete_is_refused(self):
        url = self.queue(".fifo")
        self.send(url, "late")
        message, = self.receive(url, VisibilityTimeout=1)
        again, = self.receive(url, WaitTimeSeconds=LONG_POLL_SECONDS)
        error = self.refused("InvalidParameterValue", 400, self.sqs.delete_message, QueueUrl=url,
                             ReceiptHandle=message["ReceiptHandle"])
        self.assertIn("The receipt handle has expired", error.response["Error"]["Message"])
        self.sqs.delete_message(QueueUrl=url, ReceiptHandle=again["ReceiptHandle"])

    def test_a_receive_that_is_tried_again_by_its_id_is_given_the_same(self):
        url = self.queue(".fifo")
        self.send(url, "step")
        first, = self.receive(url, ReceiveRequestAttemptId="attempt-1")
        again, = self.receive(url, ReceiveRequestAttemptId="attempt-1")
        self.assertEqual((first["MessageId"], first["ReceiptHandle"]), (again["MessageId"], again["ReceiptHandle"]))

    def test_what_a_fifo_queue_asks_for_must_be_there(self):
        url = self.queue(".fifo")
        send = self.sqs.send_message
        self.refused("MissingParameter", 400, send, QueueUrl=url, MessageBody="x", MessageDeduplicationId="d")
        self.refused("InvalidParameterValue", 400, send, QueueUrl=url, MessageBody="x", MessageGroupId="g")
        self.refused("InvalidParameterValue", 400, send, QueueUrl=url, MessageBody="x", MessageGroupId="g",
                     MessageDeduplicationId="d", DelaySeconds=2)
        self.refused("InvalidParameterValue", 400, self.sqs.send_message_batch, QueueUrl=url, Entries=[
            {"Id": "a", "MessageBody": "x", "MessageDeduplicationId": "d"}])
        self.refused("InvalidParameterValue", 400, self.sqs.create_queue, QueueName="not-fifo",
                     Attributes={"FifoQueue": "true"})
        self.assertEqual([], self.receive(url))


class DeadLetters(Sqs):
    def queue_with_dead_letters(self, receives, suffix="", **attributes):
        dead = self.queue(suffix)
        source = self.queue(suffix, RedrivePolicy=json.dumps(
            {"deadLetterTargetArn": self.arn_of(dead), "maxReceiveCount": receives}), **attributes)
        return source, dead

    def test_a_poison_message_is_delivered_as_often_as_allowed_and_then_set_aside(self):
        source, dead = self.queue_with_dead_letters(2)
        self.assertEqual([source], self.sqs.list_dead_letter_source_queues(QueueUrl=dead)["queueUrls"])
        sent = self.sqs.send_message(QueueUrl=source, MessageBody="no store_id", MessageAttributes=Messages.ATTRIBUTES)
        counts = [message["Attributes"]["ApproximateReceiveCount"]
                  for _ in range(4) for message in self.receive(source, VisibilityTimeout=0)]
        self.assertEqual(["1", "2"], counts)
        message, = self.receive(dead, WaitTimeSeconds=LONG_POLL_SECONDS)
        self.assertEqual((sent["MessageId"], "no store_id", Messages.ATTRIBUTES),
                         (message["MessageId"], message["Body"], message["MessageAttributes"]))
        self.assertEqual(("3", self.arn_of(source)), tuple(message["Attributes"][name] for name in (
            "ApproximateReceiveCount", "DeadLetterQueueSourceArn")))

    def test_dead_letters_are_moved_back_to_where_they_came_from(self):
        if not hasattr(self.sqs, "start_message_move_task"):
            self.skipTest("this botocore is older than move tasks")
        source, dead = self.queue_with_dead_letters(1, VisibilityTimeout="0")
        sent = {self.sqs.send_message(QueueUrl=source, MessageBody=f"order {n}")["MessageId"] for n in range(5)}
        self.assertEqual(5, len(self.receive(source)))
        self.assertEqual([], self.receive(source))
        self.sqs.set_queue_attributes(QueueUrl=source, Attributes={"VisibilityTimeout": "30"})
        handle = self.sqs.start_message_move_task(SourceArn=self.arn_of(dead))["TaskHandle"]
        self.assertTrue(handle)
        for _ in range(TRIES_MAX):
            task, = self.sqs.list_message_move_tasks(SourceArn=self.arn_of(dead))["Results"]
            if task["Status"] != "RUNNING":
                break
            time.sleep(0.05)
        self.assertEqual(("COMPLETED", 5, self.arn_of(dead)), (
            task["Status"], task["ApproximateNumberOfMessagesMoved"], task["SourceArn"]))
        moved = self.receive(source, WaitTimeSeconds=LONG_POLL_SECONDS)
        self.assertEqual([f"order {n}" for n in range(5)], [message["Body"] for message in moved])
        self.assertFalse(sent & {message["MessageId"] for message in moved})
        self.refused("ResourceNotFoundException", 404, self.sqs.start_message_move_task, SourceArn=arn("nobody"))
        self.refused("InvalidParameterValue", 400, self.sqs.start_message_move_task, SourceArn=self.arn_of(source))

    def test_a_fifo_queue_sets_aside_in_order(self):
        source, dead = self.queue_with_dead_letters(1, ".fifo", ContentBasedDeduplication="true")
        for number in range(3):
            self.sqs.send_message(QueueUrl=source, MessageBody=str(number), MessageGroupId="g")
        self.assertEqual(["0", "1", "2"], self.bodies(source, VisibilityTimeout=0))
        self.assertEqual([], self.bodies(source))
        self.assertEqual(["0", "1", "2"], self.bodies(dead, WaitTimeSeconds=LONG_POLL_SECONDS))

    def test_policies_that_cannot_be_are_refused(self):
        url, other = self.queue(), self.queue()
        fifo = self.queue(".fifo")
        for policy, code in (
                ({"deadLetterTargetArn": self.arn_of(other)}, "InvalidParameterValue"),
                ({"deadLetterTargetArn": self.arn_of(other), "maxReceiveCount": 0}, "InvalidParameterValue"),
                ({"deadLetterTargetArn": self.arn_of(other), "maxReceiveCount": 1001}, "InvalidParameterValue"),
                ({"deadLetterTargetArn": self.arn_of(fifo), "maxReceiveCount": 3}, "InvalidParameterValue"),
                ({"deadLetterTargetArn": arn("nobody"), "maxReceiveCount": 3}, "InvalidParameterValue"),
                ({"deadLetterTargetArn": "nobody", "maxReceiveCount": 3}, "InvalidParameterValue"),
                ("text", "InvalidAttributeValue")):
            with self.subTest(policy=policy):
                self.refused(code, 400, self.sqs.set_queue_attributes, QueueUrl=url,
                             Attributes={"RedrivePolicy": json.dumps(policy)})
        self.assertNotIn("RedrivePolicy", self.attributes(url))
        self.sqs.set_queue_attributes(QueueUrl=other, Attributes={
            "RedriveAllowPolicy": json.dumps({"redrivePermission": "denyAll"})})
        self.refused("InvalidParameterValue", 400, self.sqs.set_queue_attributes, QueueUrl=url, Attributes={
            "RedrivePolicy": json.dumps({"deadLetterTargetArn": self.arn_of(other), "maxReceiveCount": 3})})


class Errors(Sqs):
    def test_codes_and_statuses_are_those_of_the_service(self):
        url = self.queue()
        nowhere = SERVER.queue_url("nobody")
        missing = "AWS.SimpleQueueService.NonExistentQueue"
        for code, status, call, parameters in (
                (missing, 400, "get_queue_url", {"QueueName": "nobody"}),
                (missing, 400, "send_message", {"QueueUrl": nowhere, "MessageBody": "x"}),
                (missing, 400, "list_queue_tags", {"QueueUrl": nowhere}),
                ("ReceiptHandleIsInvalid", 404, "delete_message", {"QueueUrl": url, "ReceiptHandle": "garbage"}),
                ("ReceiptHandleIsInvalid", 404, "change_message_visibility",
                 {"QueueUrl": url, "ReceiptHandle": "garbage", "VisibilityTimeout": 1}),
                ("InvalidMessageContents", 400, "send_message", {"QueueUrl": url, "MessageBody": "\x00"}),
                ("MissingParameter", 400, "send_message", {"QueueUrl": url, "MessageBody": ""}),
                ("InvalidParameterValue", 400, "send_message",
                 {"QueueUrl": url, "MessageBody": "x", "DelaySeconds": 901}),
                ("InvalidParameterValue", 400, "send_message",
                 {"QueueUrl": url, "MessageBody": "x", "MessageDeduplicationId": "d"}),
                ("InvalidParameterValue", 400, "send_message", {"QueueUrl": url, "MessageBody": "x",
                 "MessageAttributes": {"AWS.mine": {"DataType": "String", "StringValue": "x"}}}),
                ("InvalidParameterValue", 400, "send_message", {"QueueUrl": url, "MessageBody": "x",
                 "MessageAttributes": {"n": {"DataType": "Number", "StringValue": "many"}}}),
                ("InvalidParameterValue", 400, "receive_message", {"QueueUrl": url, "MaxNumberOfMessages": 11}),
                ("InvalidParameterValue", 400, "receive_message", {"QueueUrl": url, "WaitTimeSeconds": 21}),
                ("InvalidAttributeName", 400, "receive_message", {"QueueUrl": url, "AttributeNames": ["Nothing"]}),
                ("InvalidAttributeName", 400, "get_queue_attributes", {"QueueUrl": url, "AttributeNames": ["Nothing"]}),
                ("InvalidAttributeName", 400, "set_queue_attributes",
                 {"QueueUrl": url, "Attributes": {"QueueArn": "mine"}}),
                ("InvalidAttributeValue", 400, "set_queue_attributes",
                 {"QueueUrl": url, "Attributes": {"VisibilityTimeout": "43201"}}),
                ("InvalidParameterValue", 400, "create_queue", {"QueueName": "no blanks"}),
                ("InvalidParameterValue", 400, "create_queue", {"QueueName": "n" * 81}),
                ("OverLimit", 403, "add_permission", {"QueueUrl": url, "Label": "l", "AWSAccountIds": ["111122223333"],
                 "Actions": ["SendMessage", "ReceiveMessage", "DeleteMessage", "ChangeMessageVisibility",
                             "GetQueueAttributes", "GetQueueUrl", "ListDeadLetterSourceQueues", "PurgeQueue"]})):
            with self.subTest(call=call, parameters=parameters):
                self.refused(code, status, getattr(self.sqs, call), **parameters)

    def test_a_presigned_address_is_a_request_too(self):
        url = self.queue()
        if self.sqs.meta.service_model.metadata["protocol"] != "query":
            self.skipTest("only Query requests fit an address")
        import urllib.request
        self.sqs.send_message(QueueUrl=url, MessageBody="through the address")
        address = self.sqs.generate_presigned_url("receive_message", Params={"QueueUrl": url}, HttpMethod="GET")
        with urllib.request.urlopen(address, timeout=10) as answer:
            self.assertIn("<Body>through the address</Body>", answer.read().decode())

    def test_many_threads_share_one_client(self):
        url = self.queue()
        threads, each = 8, 25
        shared = client(max_pool_connections=threads)
        with ThreadPoolExecutor(threads) as pool:
            ids = list(pool.map(lambda n: shared.send_message(QueueUrl=url, MessageBody=str(n))["MessageId"],
                                range(threads * each)))
            seen, lock = [], threading.Lock()

            def consume():
                for _ in range(TRIES_MAX):
                    got = shared.receive_message(QueueUrl=url, MaxNumberOfMessages=BATCH_MAX).get("Messages", [])
                    if not got:
                        return
                    shared.delete_message_batch(QueueUrl=url, Entries=[
                        {"Id": str(n), "ReceiptHandle": one["ReceiptHandle"]} for n, one in enumerate(got)])
                    with lock:
                        seen.extend(one["MessageId"] for one in got)

            for consumer in [pool.submit(consume) for _ in range(threads)]:
                consumer.result()
        self.assertEqual(sorted(ids), sorted(seen))


if __name__ == "__main__":
    import sys
    SERVER = serve(credentials=STRICT)
    unittest.main(argv=sys.argv[:1], warnings="ignore")
