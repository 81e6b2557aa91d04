"""What people type: the AWS command line against the real server. It prints answers as they are, so their fields show.

Arguments: millraced, millrace.
"""

import base64
import contextlib
import io
import json
import subprocess
import sys
import tempfile
import unittest

from awscli.clidriver import create_clidriver

from server import arn, attribute_md5, body_md5, serve

# Debian's own, which this Python has; there may be another in the way.
AWS = "/usr/bin/aws"
COMMAND_SECONDS_MAX = 60
REFUSED = 254  # by the service, not by the command line itself

SERVER = None


def run(*words):
    """The command line's own main(), many times in one process: a start of it takes longer than all it does."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = create_clidriver().main(
            ["--endpoint-url", SERVER.endpoint, "--output", "json", "sqs", *words])
    return subprocess.CompletedProcess(words, status, out.getvalue(), err.getvalue())


class Cli(unittest.TestCase):
    def aws(self, *words):
        ended = run(*words)
        self.assertEqual(0, ended.returncode, f"{words}: {ended.stderr}")
        return json.loads(ended.stdout) if ended.stdout else {}

    def refused(self, code, operation, *words):
        ended = run(*words)
        self.assertEqual(REFUSED, ended.returncode, ended.stdout + ended.stderr)
        self.assertIn(f"An error occurred ({code}) when calling the {operation} operation: ", ended.stderr)

    def make(self, name, *words):
        return self.aws("create-queue", "--queue-name", name, *words)["QueueUrl"]

    def test_a_message_from_send_to_delete(self):
        url = self.make("cli", "--attributes", "VisibilityTimeout=60,DelaySeconds=0", "--tags", "team=orders")
        self.assertEqual(SERVER.queue_url("cli"), url)
        attributes = {"Priority": {"DataType": "String", "StringValue": "High"},
                      "raw": {"DataType": "Binary", "BinaryValue": bytes(range(256))}}
        shown = {name: {kind: base64.b64encode(value).decode() if kind == "BinaryValue" else value
                        for kind, value in parts.items()} for name, parts in attributes.items()}
        sent = self.aws("send-message", "--queue-url", url, "--message-body", "Hello, SQS! ü",
                        "--message-attributes", json.dumps(shown))
        self.assertEqual({"MessageId": sent["MessageId"], "MD5OfMessageBody": body_md5("Hello, SQS! ü"),
                          "MD5OfMessageAttributes": attribute_md5(attributes)}, sent)
        message, = self.aws("receive-message", "--queue-url", url, "--attribute-names", "ApproximateReceiveCount",
                            "--message-attribute-names", "All", "--wait-time-seconds", "20",
                            "--max-number-of-messages", "10")["Messages"]
        receipt = message.pop("ReceiptHandle")
        self.assertEqual({
            "MessageId": sent["MessageId"], "MD5OfBody": sent["MD5OfMessageBody"], "Body": "Hello, SQS! ü",
            "MD5OfMessageAttributes": sent["MD5OfMessageAttributes"], "MessageAttributes": shown,
            "Attributes": {"ApproximateReceiveCount": "1"}}, message)
        self.assertEqual({}, self.aws("delete-message", "--queue-url", url, "--receipt-handle", receipt))
        self.assertEqual({}, self.aws("receive-message", "--queue-url", url))
        self.assertEqual({"Tags": {"team": "orders"}}, self.aws("list-queue-tags", "--queue-url", url))
        shown = self.aws("get-queue-attributes", "--queue-url", url, "--attribute-names", "All")["Attributes"]
        self.assertEqual((arn("cli"), "60", "0"), tuple(shown[name] for name in (
            "QueueArn", "VisibilityTimeout", "ApproximateNumberOfMessagesNotVisible")))

    def test_attributes_come_from_a_file(self):
        url = self.make("from-file")
        policy = {"Version": "2012-10-17", "Statement": [{
            "Sid": "AllowCrossAccountAccess", "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::987654321098:root"},
            "Action": ["sqs:SendMessage", "sqs:ReceiveMessage"], "Resource": arn("from-file")}]}
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump({"Policy": json.dumps(policy), "VisibilityTimeout": "60"}, file)
            file.flush()
            self.aws("set-queue-attributes", "--queue-url", url, "--attributes", f"file://{file.name}")
        shown = self.aws("get-queue-attributes", "--queue-url", url, "--attribute-names", "Policy", "VisibilityTimeout")
        self.assertEqual((policy, "60"), (json.loads(shown["Attributes"]["Policy"]),
                                          shown["Attributes"]["VisibilityTimeout"]))

    def test_a_batch_prints_what_went_in_and_what_did_not(self):
        url = self.make("batch.fifo", "--attributes", "FifoQueue=true,ContentBasedDeduplication=true")
        answer = self.aws("send-message-batch", "--queue-url", url, "--entries", json.dumps([
            {"Id": "a", "MessageBody": "one", "MessageGroupId": "g"},
            {"Id": "b", "MessageBody": "\ufffe", "MessageGroupId": "g"},
            {"Id": "c", "MessageBody": "two", "MessageGroupId": "g"}]))
        self.assertEqual(["a", "c"], [one["Id"] for one in answer["Successful"]])
        self.assertLess(answer["Successful"][0]["SequenceNumber"], answer["Successful"][1]["SequenceNumber"])
        self.assertEqual([("b", True, "InvalidMessageContents")],
                         [(one["Id"], one["SenderFault"], one["Code"]) for one in answer["Failed"]])
        got = self.aws("receive-message", "--queue-url", url, "--max-number-of-messages", "10")["Messages"]
        self.assertEqual(["one", "two"], [one["Body"] for one in got])

    def test_listing_pages_by_itself_and_by_token(self):
        made = [self.make(f"list-{number}") for number in range(5)]
        listed = self.aws("list-queues", "--queue-name-prefix", "list-", "--page-size", "2")
        self.assertEqual(made, listed["QueueUrls"])
        first = self.aws("list-queues", "--queue-name-prefix", "list-", "--max-items", "3")
        rest = self.aws("list-queues", "--queue-name-prefix", "list-", "--starting-token", first["NextToken"])
        self.assertEqual(made, first["QueueUrls"] + rest["QueueUrls"])

    def test_the_program_itself_ends_as_it_should(self):
        url = self.make("program")
        for name, status in ((url, 0), (SERVER.queue_url("nobody"), REFUSED)):
            ended = subprocess.run([AWS, "--endpoint-url", SERVER.endpoint, "sqs", "send-message", "--queue-url", name,
                                    "--message-body", "x"], capture_output=True, timeout=COMMAND_SECONDS_MAX, check=False)
            self.assertEqual(status, ended.returncode, ended.stderr)

    def test_errors_are_named_as_the_service_names_them(self):
        missing = SERVER.queue_url("nobody")
        self.refused("AWS.SimpleQueueService.NonExistentQueue", "SendMessage", "send-message", "--queue-url", missing,
                     "--message-body", "x")
        url = self.make("errors")
        self.refused("ReceiptHandleIsInvalid", "DeleteMessage", "delete-message", "--queue-url", url,
                     "--receipt-handle", "garbage")
        self.refused("InvalidAttributeValue", "SetQueueAttributes", "set-queue-attributes", "--queue-url", url,
                     "--attributes", "MessageRetentionPeriod=59")
        self.aws("purge-queue", "--queue-url", url)
        self.refused("AWS.SimpleQueueService.PurgeQueueInProgress", "PurgeQueue", "purge-queue", "--queue-url", url)


if __name__ == "__main__":
    SERVER = serve()
    unittest.main(argv=sys.argv[:1])
