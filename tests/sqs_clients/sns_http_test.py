"""Topics deliver over HTTP: to endpoints that confirm, fail, recover, are down or lead where they must not.

Arguments: millraced, millrace.
"""

import datetime
import ipaddress
import json
import os
import ssl
import sys
import tempfile
import threading
import time
import unittest
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

import broker as programs
from letters import check_signature
from server import ENVIRONMENT, Server, arn

LOOPBACK = ("--deliver-to", "127.0.0.0/8")


class Endpoint:
    """Takes what is posted to any path, answers as told, and confirms if it is to."""

    def __init__(self, confirms=True, keeps=True, certified=None):
        self.posts, self.statuses, self.location = [], [], None
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1" if keeps else "HTTP/1.0"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                kind = self.headers["x-amz-sns-message-type"]
                if kind == "Notification" and endpoint.statuses:
                    status = endpoint.statuses.pop(0) if len(endpoint.statuses) > 1 else endpoint.statuses[0]
                else:
                    status = 200
                endpoint.posts.append((status, kind, dict(self.headers), body.decode()))
                self.send_response(status)
                if endpoint.location:
                    self.send_header("Location", endpoint.location)
                self.send_header("Content-Length", "0")
                self.end_headers()
                if kind == "SubscriptionConfirmation" and confirms:
                    threading.Thread(target=urllib.request.urlopen, args=(json.loads(body)["SubscribeURL"],)).start()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if certified:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certified)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"http{'s' if certified else ''}://127.0.0.1:{self.server.server_port}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def taken(self, kind, count=1, status=200, seconds=20):
        """The first so many posts of a kind that were answered so."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = [(headers, body) for answered, of, headers, body in self.posts if of == kind and answered == status]
            if len(found) >= count:
                return found
            time.sleep(0.02)
        raise AssertionError(f"{count} of {kind} expected, got {self.posts}")


def certify(path):
    """Writes a key and a certificate for 127.0.0.1 that it has signed itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "an endpoint")])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
                   .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=1))
                   .not_valid_after(now + datetime.timedelta(days=1))
                   .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
                   .add_extension(x509.BasicConstraints(ca=True, path_length=0), True).sign(key, hashes.SHA256()))
    with open(path, "wb") as file:
        file.write(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                     serialization.NoEncryption()))
        file.write(certificate.public_bytes(serialization.Encoding.PEM))
    return path


class Served(unittest.TestCase):
    """A server with a topic, and an endpoint that confirms."""

    flags = LOOPBACK

    def setUp(self):
        self.server = Server(*self.flags, shards=2)
        self.addCleanup(lambda: self.server.__exit__(None, None, None))
        self.connect()
        self.endpoint = Endpoint()
        self.addCleanup(self.endpoint.close)
        self.topic = self.sns.create_topic(Name="orders")["TopicArn"]

    def connect(self):
        self.sns, self.sqs = (boto3.client(service, endpoint_url=self.server.endpoint,
                                           config=Config(retries={"max_attempts": 0})) for service in ("sns", "sqs"))

    def restart(self, *flags):
        """Killed; then with these flags in place of its own."""
        old = self.server
        old.process.kill()
        old.process.wait()
        self.server = Server.__new__(Server)
        self.server.folder = old.folder
        programs.Broker.__init__(self.server, os.path.join(old.folder.name, "data"), "--shards", "2", *flags,
                                 http="127.0.0.1:0")
        self.server.endpoint = f"http://{self.server.http}"
        self.connect()

    def subscribe(self, url=None, **attributes):
        asked = self.sns.subscribe(TopicArn=self.topic, Protocol="http", Endpoint=url or self.endpoint.url,
                                   Attributes=attributes, ReturnSubscriptionArn=True)
        found = asked["SubscriptionArn"]
        for _ in range(1000):
            if self.sns.get_subscription_attributes(SubscriptionArn=found)["Attributes"]["PendingConfirmation"] == "false":
                return found
            time.sleep(0.01)
        raise AssertionError("nobody confirmed it")

    def dead(self, name="dead"):
        self.sqs.create_queue(QueueName=name)
        return json.dumps({"deadLetterTargetArn": arn(name)})

    def received(self, name="dead", seconds=20):
        got = self.sqs.receive_message(QueueUrl=self.server.queue_url(name), WaitTimeSeconds=seconds,
                                       MessageAttributeNames=["All"])
        return got.get("Messages", [])


class OverHttp(Served):
    def test_is_confirmed_delivered_to_and_told_of_its_end(self):
        asked = self.sns.subscribe(TopicArn=self.topic, Protocol="http", Endpoint=self.endpoint.url)
        self.assertEqual(asked["SubscriptionArn"], "pending confirmation")
        headers, body = self.endpoint.taken("SubscriptionConfirmation")[0]
        letter = json.loads(body)
        self.assertEqual(list(letter), ["Type", "MessageId", "Token", "TopicArn", "Message", "SubscribeURL", "Timestamp",
                                        "SignatureVersion", "Signature", "SigningCertURL"])
        check_signature(letter)
        self.assertEqual(headers["Content-Type"], "text/plain; charset=UTF-8")
        self.assertEqual(headers["User-Agent"], "Amazon Simple Notification Service Agent")
        self.assertEqual(headers["x-amz-sns-message-id"], letter["MessageId"])
        self.assertNotIn("x-amz-sns-subscription-arn", headers)
        subscription = self.subscribe()
        published = self.sns.publish(TopicArn=self.topic, Message="one, with ümlaut", Subject="first", MessageAttributes={
            "kind": {"DataType": "String", "StringValue": "a"}})
        headers, body = self.endpoint.taken("Notification")[0]
        notification = json.loads(body)
        check_signature(notification)
        self.assertEqual(notification["Message"], "one, with ümlaut")
        self.assertEqual(notification["MessageAttributes"], {"kind": {"Type": "String", "Value": "a"}})
        self.assertEqual(notification["MessageId"], published["MessageId"])
        self.assertEqual({key: headers[f"x-amz-sns-{key}"] for key in ("message-id", "topic-arn", "subscription-arn")},
                         {"message-id": published["MessageId"], "topic-arn": self.topic, "subscription-arn": subscription})
        self.assertNotIn("x-amz-sns-rawdelivery", headers)
        # By its link, which nobody signs.
        with urllib.request.urlopen(notification["UnsubscribeURL"]) as answer:
            self.assertEqual(answer.status, 200)
        headers, body = self.endpoint.taken("UnsubscribeConfirmation")[0]
        check_signature(json.loads(body))
        self.assertEqual(headers["x-amz-sns-subscription-arn"], subscription)
        self.sns.publish(TopicArn=self.topic, Message="two")
        time.sleep(0.3)
        self.assertEqual(len(self.endpoint.taken("Notification")), 1)

    def test_raw_filtered_and_in_its_own_words(self):
        self.subscribe(RawMessageDelivery="true", FilterPolicy=json.dumps({"kind": ["a"]}))
        self.sqs.create_queue(QueueName="all")
        self.sns.subscribe(TopicArn=self.topic, Protocol="sqs", Endpoint=arn("all"), Attributes={"RawMessageDelivery": "true"})
        for kind, message in (("b", "no"), ("a", '{"raw": "yes"}')):
            self.sns.publish(TopicArn=self.topic, Message=message,
                             MessageAttributes={"kind": {"DataType": "String", "StringValue": kind}})
        self.sns.publish(TopicArn=self.topic, MessageStructure="json",
                         Message=json.dumps({"default": "for others", "http": "for http", "sqs": "for queues"}),
                         MessageAttributes={"kind": {"DataType": "String", "StringValue": "a"}})
        found = self.endpoint.taken("Notification", 2)
        self.assertEqual({body for _, body in found}, {'{"raw": "yes"}', "for http"})
        self.assertTrue(all(headers["x-amz-sns-rawdelivery"] == "true" for headers, _ in found))
        queued = [message["Body"] for _ in range(3) for message in self.received("all")]
        self.assertEqual(sorted(queued), ["for queues", "no", '{"raw": "yes"}'])

    def test_fails_for_a_while_and_recovers(self):
        policy = {"healthyRetryPolicy": {"minDelayTarget": 1, "maxDelayTarget": 2, "numRetries": 6, "numNoDelayRetries": 2}}
        self.subscribe(DeliveryPolicy=json.dumps(policy))
        self.endpoint.statuses = [500, 503, 429, 200]
        began = time.monotonic()
        self.sns.publish(TopicArn=self.topic, Message="again")
        self.endpoint.taken("Notification")
        tries = [status for status, kind, *_ in self.endpoint.posts if kind == "Notification"]
        self.assertEqual(tries, [500, 503, 429, 200])
        self.assertGreater(time.monotonic() - began, 0.9)
        with urllib.request.urlopen(f"{self.server.endpoint}/metrics") as answer:
            metrics = answer.read().decode()
        self.assertIn('millrace_topic_posts_total{topic="orders",result="retried"} 3', metrics)
        self.assertIn('millrace_topic_posts_total{topic="orders",result="delivered"} 1', metrics)

    def test_what_is_never_taken_goes_to_the_dead_letter_queue(self):
        policy = json.dumps({"healthyRetryPolicy": {"numRetries": 2, "numNoDelayRetries": 2}})
        self.subscribe(DeliveryPolicy=policy, RedrivePolicy=self.dead())
        self.endpoint.statuses = [500]
        self.sns.publish(TopicArn=self.topic, Message="down")
        posted = [body for _, body in self.endpoint.taken("Notification", 3, status=500)]
        dead = self.received()
        self.assertEqual([message["Body"] for message in dead], posted[:1])
        self.assertEqual(len([one for one in self.endpoint.posts if one[1] == "Notification"]), 3)
        # What it will never take is not tried again. Raw, with its attributes.
        raw = Endpoint()
        self.addCleanup(raw.close)
        raw.statuses = [404]
        self.subscribe(raw.url, RawMessageDelivery="true", RedrivePolicy=self.dead("raw"))
        self.sns.publish(TopicArn=self.topic, Message="bare", MessageAttributes={
            "blob": {"DataType": "Binary", "BinaryValue": b"\x00\xff"}, "n": {"DataType": "Number", "StringValue": "7"}})
        found = self.received("raw")
        self.assertEqual([message["Body"] for message in found], ["bare"])
        self.assertEqual(found[0]["MessageAttributes"]["blob"]["BinaryValue"], b"\x00\xff")
        self.assertEqual(found[0]["MessageAttributes"]["n"], {"StringValue": "7", "DataType": "Number"})
        self.assertEqual(len([one for one in raw.posts if one[1] == "Notification"]), 1)

    def test_one_that_is_gone_is_tried_and_given_up(self):
        gone = Endpoint(keeps=False)
        policy = json.dumps({"healthyRetryPolicy": {"numRetries": 1, "numNoDelayRetries": 1}})
        self.subscribe(gone.url, DeliveryPolicy=policy, RedrivePolicy=self.dead())
        gone.close()
        self.sns.publish(TopicArn=self.topic, Message="nobody is there")
        self.assertEqual([json.loads(message["Body"])["Message"] for message in self.received()], ["nobody is there"])

    def test_survives_kills_between_publish_and_delivery(self):
        policy = json.dumps({"healthyRetryPolicy": {"minDelayTarget": 2, "maxDelayTarget": 2, "numRetries": 9}})
        self.subscribe(DeliveryPolicy=policy)
        sent = set()
        for life in range(3):
            self.endpoint.statuses = [503]
            for i in range(20):
                self.sns.publish(TopicArn=self.topic, Message=f"message {i} of life {life}")
                sent.add(f"message {i} of life {life}")
            self.endpoint.taken("Notification", 20 * life + 5, status=503)
            self.restart(*LOOPBACK)
        self.endpoint.statuses = []
        end = time.monotonic() + 90
        got = set()
        while got != sent and time.monotonic() < end:
            got = {json.loads(body)["Message"] for _, body in self.endpoint.taken("Notification", 1, seconds=60)}
            time.sleep(0.1)
        self.assertEqual(got, sent)

    def test_a_thousand_are_delivered_once_each(self):
        self.subscribe(RawMessageDelivery="true")
        for first in range(0, 1000, 10):
            self.sns.publish_batch(TopicArn=self.topic, PublishBatchRequestEntries=[
                {"Id": str(i), "Message": str(i)} for i in range(first, first + 10)])
        taken = [body for _, body in self.endpoint.taken("Notification", 1000, seconds=60)]
        self.assertEqual(sorted(map(int, taken)), list(range(1000)))

    def test_no_faster_than_it_is_said(self):
        self.subscribe(RawMessageDelivery="true", DeliveryPolicy=json.dumps({"throttlePolicy": {"maxReceivesPerSecond": 10}}))
        began = time.monotonic()
        for i in range(25):
            self.sns.publish(TopicArn=self.topic, Message=str(i))
        self.endpoint.taken("Notification", 25)
        self.assertGreater(time.monotonic() - began, 1.5)

    def test_leads_nowhere_else(self):
        inner = Endpoint()
        self.addCleanup(inner.close)
        self.subscribe(DeliveryPolicy=json.dumps({"healthyRetryPolicy": {"numRetries": 0}}), RedrivePolicy=self.dead())
        self.endpoint.statuses, self.endpoint.location = [307], inner.url
        self.sns.publish(TopicArn=self.topic, Message="redirected")
        self.assertEqual(len(self.received()), 1)
        self.assertEqual(inner.posts, [])

    def test_a_server_does_not_publish_to_itself(self):
        with self.assertRaises(AssertionError):
            # Nobody there confirms it; and its confirmation is refused as a request.
            self.subscribe(f"{self.server.endpoint}/?Action=Publish&TopicArn={self.topic}&Message=again&Version=2010-03-31")
        request = urllib.request.Request(f"{self.server.endpoint}/?Action=Publish&TopicArn={self.topic}&Message=again"
                                         "&Version=2010-03-31", data=b"{}", headers={"x-amz-sns-message-type": "Notification"})
        with self.assertRaises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request)
        self.assertEqual(refused.exception.code, 400)
        self.assertIn(b"a notification is no request", refused.exception.read())

    def test_only_to_whom_a_known_certificate_names(self):
        with tempfile.TemporaryDirectory() as folder:
            known, other = (certify(os.path.join(folder, name)) for name in ("known.pem", "other.pem"))
            self.restart(*LOOPBACK, "--deliver-ca", known)
            endpoint, stranger = Endpoint(certified=known), Endpoint(certified=other)
            self.addCleanup(endpoint.close)
            self.addCleanup(stranger.close)
            for one in (stranger, endpoint):
                self.sns.subscribe(TopicArn=self.topic, Protocol="https", Endpoint=one.url)
            endpoint.taken("SubscriptionConfirmation")
            while self.sns.get_topic_attributes(TopicArn=self.topic)["Attributes"]["SubscriptionsConfirmed"] != "1":
                time.sleep(0.01)
            self.sns.publish(TopicArn=self.topic, Message="sealed")
            headers, body = endpoint.taken("Notification")[0]
            self.assertEqual(json.loads(body)["Message"], "sealed")
            self.assertEqual(stranger.posts, [])

    def test_what_may_not_be_reached_any_more_is_not(self):
        self.subscribe(RedrivePolicy=self.dead())
        self.restart("--deliver-to", "public")
        before = len(self.endpoint.posts)
        self.sns.publish(TopicArn=self.topic, Message="inward")
        self.assertEqual(len(self.received()), 1)
        self.assertEqual(len(self.endpoint.posts), before)


class Refused(Served):
    """What is refused when it is subscribed."""

    flags = ("--deliver-to", "public,hooks.example.com")

    def refusal(self, endpoint, protocol="http", **attributes):
        with self.assertRaises(ClientError) as refused:
            self.sns.subscribe(TopicArn=self.topic, Protocol=protocol, Endpoint=endpoint, Attributes=attributes)
        error = refused.exception.response["Error"]
        self.assertEqual(error["Code"], "InvalidParameter", endpoint)
        return error["Message"]

    def test_endpoints_inside(self):
        for host in ("127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "localhost", "[::1]",
                     "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "169.254.169.254", "[fe80::1]", "[fd00:ec2::254]", "10.0.0.1",
                     "192.168.1.1", "172.16.0.1", "100.64.0.1", "0.0.0.0", "[::]", "224.0.0.1", "255.255.255.255",
                     "[64:ff9b::7f00:1]", "[2002:7f00:1::]"):
            for port in ("", ":8080"):
                self.assertIn("may not be reached", self.refusal(f"http://{host}{port}/latest"), host)
        self.assertIn("may not be reached", self.refusal("https://127.0.0.1/", "https"))

    def test_what_is_no_endpoint(self):
        self.assertEqual(self.refusal("https://hooks.example.com/"),
                         "Invalid parameter: Endpoint must match the specified protocol")
        self.assertIn("no URL", self.refusal("http://"))
        self.assertIn("no URL", self.refusal("http://a b/"))
        self.assertIn("no user and no password", self.refusal("http://me:secret@hooks.example.com/"))
        self.assertIn("Endpoint Reason", self.refusal("http://nobody.invalid/"))

    def test_policies_out_of_bounds(self):
        for policy, part in (({"numRetries": 101}, "numRetries is 101; it may be 0 to 100"),
                             ({"minDelayTarget": 30, "maxDelayTarget": 20}, "more than maxDelayTarget"),
                             ({"numRetries": 1, "numNoDelayRetries": 2}, "more than numRetries"),
                             ({"backoffFunction": "wild"}, "backoffFunction is 'wild'"),
                             ({"maxDelayTarget": 3600, "minDelayTarget": 3600, "numRetries": 2}, "they may take 3600")):
            said = self.refusal("http://hooks.example.com/", DeliveryPolicy=json.dumps({"healthyRetryPolicy": policy}))
            self.assertIn(part, said)


if __name__ == "__main__":
    programs.use_programs(*sys.argv[1:3])
    os.environ.update(ENVIRONMENT)
    # Of clients that a killed server leaves behind.
    unittest.main(argv=[sys.argv[0], "-v"] + sys.argv[3:], warnings="ignore")
