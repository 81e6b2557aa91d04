"""What boto3 programs do with topics, against the real server: all calls that administer them, and their errors.

Arguments: millraced, millrace.
"""

import json
import sys
import unittest
import urllib.error
import urllib.parse
import urllib.request

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from server import ENVIRONMENT, STRICT, arn, serve, topic_arn

SERVER = None
PAGE = 100


def client(service="sns", **config):
    return boto3.client(service, endpoint_url=SERVER.endpoint, config=Config(retries={"max_attempts": 0}, **config))


class Topics(unittest.TestCase):
    def setUp(self):
        self.sns = client()
        self.made = 0

    def topic(self, suffix="", **attributes):
        """A new topic of this test, by ARN."""
        self.made += 1
        name = f"{self.id().rsplit('.', 1)[1][:60]}-{self.made}{suffix}"
        if suffix == ".fifo":
            attributes["FifoTopic"] = "true"
        made = self.sns.create_topic(Name=name, Attributes=attributes)["TopicArn"]
        self.assertEqual(topic_arn(name), made)
        return made

    def attributes(self, topic):
        return self.sns.get_topic_attributes(TopicArn=topic)["Attributes"]

    def refused(self, code, status, text, call, **parameters):
        with self.assertRaises(ClientError) as raised:
            call(**parameters)
        answer = raised.exception.response
        self.assertEqual((code, status), (answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]))
        self.assertIn(text, answer["Error"]["Message"])
        return raised.exception

    def test_a_topic_from_create_to_delete(self):
        topic = self.topic(DisplayName="Orders")
        self.assertEqual("Orders", self.attributes(topic)["DisplayName"])
        self.sns.set_topic_attributes(TopicArn=topic, AttributeName="DisplayName", AttributeValue="a <b> & c")
        self.assertEqual("a <b> & c", self.attributes(topic)["DisplayName"])
        statement = json.loads(self.attributes(topic)["Policy"])["Statement"][0]
        self.assertEqual(topic, statement["Resource"])
        self.sns.delete_topic(TopicArn=topic)
        self.sns.delete_topic(TopicArn=topic)
        gone = self.refused("NotFound", 404, "Topic does not exist", self.sns.get_topic_attributes, TopicArn=topic)
        self.assertIsInstance(gone, self.sns.exceptions.NotFoundException)
        bad = self.refused("InvalidParameter", 400, "Invalid parameter: Topic Name", self.sns.create_topic, Name="a b")
        self.assertIsInstance(bad, self.sns.exceptions.InvalidParameterException)

    def test_fifo_topics_take_fifo_queues_and_standard_ones_do_not(self):
        fifo = self.topic(".fifo", ContentBasedDeduplication="true")
        self.assertEqual(("true", "true"), tuple(self.attributes(fifo)[name] for name in
                                                 ("FifoTopic", "ContentBasedDeduplication")))
        for queue in ("jobs.fifo", "jobs"):
            self.sns.subscribe(TopicArn=fifo, Protocol="sqs", Endpoint=arn(queue))
        self.refused("InvalidParameter", 400, "FIFO SQS Queues can not be subscribed to standard SNS topics",
                     self.sns.subscribe, TopicArn=self.topic(), Protocol="sqs", Endpoint=arn("jobs.fifo"))

    def test_a_subscription_from_subscribe_to_unsubscribe(self):
        topic = self.topic()
        policy = {"color": ["red", {"prefix": "bl"}], "size": [{"numeric": [">", 1, "<=", 5]}]}
        made = self.sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn("jobs"), ReturnSubscriptionArn=True,
                                  Attributes={"RawMessageDelivery": "true", "FilterPolicy": json.dumps(policy)})
        subscription = made["SubscriptionArn"]
        shown = self.sns.get_subscription_attributes(SubscriptionArn=subscription)["Attributes"]
        self.assertEqual(("true", policy, "MessageAttributes"),
                         (shown["RawMessageDelivery"], json.loads(shown["FilterPolicy"]), shown["FilterPolicyScope"]))
        self.assertEqual([{"SubscriptionArn": subscription, "Owner": "000000000000", "Protocol": "sqs",
                           "Endpoint": arn("jobs"), "TopicArn": topic}],
                         self.sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"])
        self.sns.set_subscription_attributes(SubscriptionArn=subscription, AttributeName="FilterPolicy",
                                             AttributeValue="{}")
        shown = self.sns.get_subscription_attributes(SubscriptionArn=subscription)["Attributes"]
        self.assertNotIn("FilterPolicy", shown)
        self.refused("InvalidParameter", 400, "FilterPolicy: Empty arrays are not allowed",
                     self.sns.set_subscription_attributes, SubscriptionArn=subscription, AttributeName="FilterPolicy",
                     AttributeValue='{"a": []}')
        self.sns.unsubscribe(SubscriptionArn=subscription)
        self.sns.unsubscribe(SubscriptionArn=subscription)
        self.refused("NotFound", 404, "Subscription does not exist", self.sns.get_subscription_attributes,
                     SubscriptionArn=subscription)

    def test_what_is_not_delivered_to_is_not_subscribed(self):
        topic = self.topic()
        for protocol, endpoint in (("email", "a@example.com"), ("lambda", "arn:aws:lambda:us-east-1:0:function:f"),
                                   ("http", "http://example.com/"), ("https", "https://example.com/")):
            self.refused("InvalidParameter", 400, protocol, self.sns.subscribe, TopicArn=topic, Protocol=protocol,
                         Endpoint=endpoint)

    def test_lists_come_in_pages(self):
        topic = self.topic()
        count = PAGE + 7
        for number in range(count):
            self.sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn(f"jobs-{number}"))
        for paginator, parameters in (("list_subscriptions_by_topic", {"TopicArn": topic}), ("list_subscriptions", {})):
            pages = list(self.sns.get_paginator(paginator).paginate(**parameters))
            endpoints = [one["Endpoint"] for page in pages for one in page["Subscriptions"] if one["TopicArn"] == topic]
            self.assertEqual(sorted(arn(f"jobs-{number}") for number in range(count)), sorted(endpoints))
            self.assertGreater(len(pages), 1)
        topics = [one["TopicArn"] for page in self.sns.get_paginator("list_topics").paginate()
                  for one in page["Topics"]]
        self.assertIn(topic, topics)
        self.sns.delete_topic(TopicArn=topic)
        self.refused("InvalidParameter", 400, "Invalid parameter: NextToken", self.sns.list_topics, NextToken="x")

    def test_tags(self):
        topic = self.topic()
        self.assertEqual([], self.sns.list_tags_for_resource(ResourceArn=topic)["Tags"])
        self.sns.tag_resource(ResourceArn=topic, Tags=[{"Key": "env", "Value": "prod"}, {"Key": "team", "Value": "x"}])
        self.sns.untag_resource(ResourceArn=topic, TagKeys=["team"])
        self.assertEqual([{"Key": "env", "Value": "prod"}], self.sns.list_tags_for_resource(ResourceArn=topic)["Tags"])
        self.refused("ResourceNotFound", 404, "Resource does not exist", self.sns.list_tags_for_resource,
                     ResourceArn=topic + "-gone")

    def test_permissions(self):
        topic = self.topic()
        self.sns.add_permission(TopicArn=topic, Label="partner", AWSAccountId=["111122223333"], ActionName=["Publish"])
        statements = json.loads(self.attributes(topic)["Policy"])["Statement"]
        self.assertEqual(["__default_statement_ID", "partner"], [one["Sid"] for one in statements])
        self.sns.remove_permission(TopicArn=topic, Label="partner")
        self.assertEqual(1, len(json.loads(self.attributes(topic)["Policy"])["Statement"]))

    def test_a_link_needs_no_signature_and_ends_no_queues_subscription(self):
        subscription = self.sns.subscribe(TopicArn=self.topic(), Protocol="sqs",
                                          Endpoint=arn("jobs"))["SubscriptionArn"]

        def follow(**parameters):
            try:
                with urllib.request.urlopen(f"{SERVER.endpoint}/?{urllib.parse.urlencode(parameters)}") as answer:
                    return answer.status, answer.read().decode()
            except urllib.error.HTTPError as error:
                with error:
                    return error.code, error.read().decode()

        status, body = follow(Action="Unsubscribe", SubscriptionArn=subscription)
        self.assertEqual(403, status)
        self.assertIn("<Code>AuthorizationError</Code>", body)
        status, body = follow(Action="ConfirmSubscription", TopicArn=self.topic(), Token="x")
        self.assertEqual(400, status)
        self.assertIn("<Message>Invalid parameter: Token</Message>", body)
        self.assertEqual(403, follow(Action="ListTopics")[0])

    def test_a_wrong_secret_is_refused(self):
        other = boto3.client("sns", endpoint_url=SERVER.endpoint, aws_access_key_id=ENVIRONMENT["AWS_ACCESS_KEY_ID"],
                             aws_secret_access_key="guess", config=Config(retries={"max_attempts": 0}))
        self.refused("SignatureDoesNotMatch", 403, "", other.list_topics)


if __name__ == "__main__":
    SERVER = serve(credentials=STRICT)
    unittest.main(argv=sys.argv[:1], warnings="ignore")
