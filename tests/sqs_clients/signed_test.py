"""A server with a credentials file, strict: what boto3 signs is let in by the right key alone, and no further than its
user's rules say.

Arguments: millraced, millrace.
"""

import sys
import unittest

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from server import arn, serve

CREDENTIALS = """
mode = "strict"

[[user]]
name = "admin"
  [[user.rule]]
  allow = ["sqs:*"]
  queues = ["*"]

[[user]]
name = "producer"
  [[user.rule]]
  allow = ["SendMessage", "GetQueueUrl"]
  queues = ["orders"]

[[key]]
id = "AKIAADMIN0000001"
secret = "admin-secret-admin-secret/+="
user = "admin"

[[key]]
id = "AKIAPRODUCER0001"
secret = "producer-secret-producer"
user = "producer"
"""
ADMIN = ("AKIAADMIN0000001", "admin-secret-admin-secret/+=")
PRODUCER = ("AKIAPRODUCER0001", "producer-secret-producer")

SERVER = None


def client(key, service="sqs"):
    return boto3.client(service, endpoint_url=SERVER.endpoint, aws_access_key_id=key[0], aws_secret_access_key=key[1],
                        config=Config(retries={"max_attempts": 0}))


class Signed(unittest.TestCase):
    def refused(self, code, call, **parameters):
        with self.assertRaises(ClientError) as raised:
            call(**parameters)
        answer = raised.exception.response
        self.assertEqual((code, 403), (answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]))

    def test_the_right_key_is_let_in_and_no_further_than_its_rules(self):
        admin, producer = client(ADMIN), client(PRODUCER)
        url = admin.create_queue(QueueName="orders")["QueueUrl"]
        other = admin.create_queue(QueueName="other")["QueueUrl"]
        # What is signed is not what travels: all of these are escaped.
        body = "a b+c&d=e%20 ü ✓ \r\n~/?#"
        producer.send_message(QueueUrl=producer.get_queue_url(QueueName="orders")["QueueUrl"], MessageBody=body,
                              MessageAttributes={"n": {"DataType": "String", "StringValue": "x y*~"}})
        self.assertEqual(body, admin.receive_message(QueueUrl=url)["Messages"][0]["Body"])
        self.refused("AccessDenied", producer.receive_message, QueueUrl=url)
        self.refused("AccessDenied", producer.send_message, QueueUrl=other, MessageBody="x")
        self.refused("AccessDenied", producer.delete_queue, QueueUrl=url)

    def test_a_wrong_secret_and_an_unknown_key_are_told_apart(self):
        self.refused("SignatureDoesNotMatch", client((ADMIN[0], "guess")).list_queues)
        self.refused("InvalidClientTokenId", client(("AKIANOBODY", "guess")).list_queues)

    def test_tools_that_first_ask_who_they_are_get_an_answer(self):
        who = client(PRODUCER, "sts").get_caller_identity()
        self.assertEqual((arn("x").split(":")[4], "arn:aws:iam::000000000000:user/producer"),
                         (who["Account"], who["Arn"]))


if __name__ == "__main__":
    SERVER = serve(credentials=CREDENTIALS)
    unittest.main(argv=sys.argv[:1], warnings="ignore")
