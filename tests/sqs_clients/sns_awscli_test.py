"""What people type about topics: the AWS command line against the real server.

Arguments: millraced, millrace.
"""

import contextlib
import io
import json
import subprocess
import sys
import unittest

from awscli.clidriver import create_clidriver

from server import arn, serve, topic_arn

REFUSED = 254  # by the service, not by the command line itself

SERVER = None


def run(service, *words):
    """The command line's own main(), many times in one process: a start of it takes longer than all it does."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = create_clidriver().main(["--endpoint-url", SERVER.endpoint, "--output", "json", service, *words])
    return subprocess.CompletedProcess(words, status, out.getvalue(), err.getvalue())


class Cli(unittest.TestCase):
    def aws(self, *words, service="sns"):
        ended = run(service, *words)
        self.assertEqual(0, ended.returncode, f"{words}: {ended.stderr}")
        return json.loads(ended.stdout) if ended.stdout else {}

    def refused(self, code, operation, *words):
        ended = run("sns", *words)
        self.assertEqual(REFUSED, ended.returncode, ended.stdout + ended.stderr)
        self.assertIn(f"An error occurred ({code}) when calling the {operation} operation: ", ended.stderr)

    def test_topics_and_subscriptions(self):
        topic = self.aws("create-topic", "--name", "cli", "--attributes", "DisplayName=Orders", "--tags",
                         "Key=team,Value=orders")["TopicArn"]
        self.assertEqual(topic_arn("cli"), topic)
        self.assertIn({"TopicArn": topic}, self.aws("list-topics")["Topics"])
        self.assertEqual("Orders", self.aws("get-topic-attributes", "--topic-arn",
                                            topic)["Attributes"]["DisplayName"])
        self.assertEqual({"Tags": [{"Key": "team", "Value": "orders"}]},
                         self.aws("list-tags-for-resource", "--resource-arn", topic))
        subscription = self.aws("subscribe", "--topic-arn", topic, "--protocol", "sqs", "--notification-endpoint",
                                arn("cli"), "--attributes", json.dumps({"FilterPolicy": '{"color":["red"]}'}),
                                "--return-subscription-arn")["SubscriptionArn"]
        self.aws("set-subscription-attributes", "--subscription-arn", subscription, "--attribute-name",
                 "RawMessageDelivery", "--attribute-value", "true")
        shown = self.aws("get-subscription-attributes", "--subscription-arn", subscription)["Attributes"]
        self.assertEqual(("true", '{"color":["red"]}'), (shown["RawMessageDelivery"], shown["FilterPolicy"]))
        self.assertEqual([subscription], [one["SubscriptionArn"] for one in self.aws(
            "list-subscriptions-by-topic", "--topic-arn", topic)["Subscriptions"]])
        url = self.aws("create-queue", "--queue-name", "cli", service="sqs")["QueueUrl"]
        self.aws("publish", "--topic-arn", topic, "--message", "hello", "--message-attributes",
                 '{"color":{"DataType":"String","StringValue":"red"}}')
        self.aws("publish-batch", "--topic-arn", topic, "--publish-batch-request-entries", "Id=1,Message=filtered out")
        self.assertEqual(["hello"], [one["Body"] for one in self.aws(
            "receive-message", "--queue-url", url, "--max-number-of-messages", "10", service="sqs")["Messages"]])
        self.aws("unsubscribe", "--subscription-arn", subscription)
        self.aws("delete-topic", "--topic-arn", topic)
        self.refused("NotFound", "GetTopicAttributes", "get-topic-attributes", "--topic-arn", topic)


if __name__ == "__main__":
    SERVER = serve()
    unittest.main(argv=sys.argv[:1], warnings="ignore")
