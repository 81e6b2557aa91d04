"""millraced with a credentials file, as boto3 and a plain HTTP client meet it: who gets in, who may
do what, and a reload while it serves. 77: boto3 is not installed.

usage: credentials_test.py MILLRACED MILLRACE
"""

import os
import re
import signal
import sys
import tempfile
import time
import urllib.error
import urllib.request

import broker

try:
    import boto3
    from botocore.auth import SigV4QueryAuth
    from botocore.awsrequest import AWSRequest
    from botocore.config import Config
    from botocore.credentials import Credentials
    from botocore.exceptions import ClientError
except ImportError:
    sys.exit(77)

ROOT = ("AKIAROOT", "0123456789abcdef-root")
ORDERS = ("AKIAORDERS", "0123456789abcdef-orders")
MOVER = ("AKIAMOVER", "0123456789abcdef-mover")
NEW = ("AKIANEW", "0123456789abcdef-new")
FILE = """
[[user]]
name = "orders"
[[user.rule]]
allow = ["SendMessage", "GetQueueUrl", "CreateQueue"]
queues = ["orders*"]
[[user]]
name = "mover"
[[user.rule]]
allow = ["StartMessageMoveTask"]
[[key]]
id = "AKIAMOVER"
secret = "0123456789abcdef-mover"
user = "mover"
[[key]]
id = "AKIAROOT"
secret = "0123456789abcdef-root"
[[key]]
id = "AKIAORDERS"
secret = "0123456789abcdef-orders"
user = "orders"
"""
MORE = """
[[key]]
id = "AKIANEW"
secret = "0123456789abcdef-new"
user = "orders"
"""


def client(service, address, key):
    return boto3.client(service, endpoint_url=f"http://{address}", region_name="us-east-1",
                        aws_access_key_id=key[0], aws_secret_access_key=key[1],
                        config=Config(retries={"max_attempts": 0}, read_timeout=20))


def refusal(call, **arguments):
    """The code and the status that a call is refused with."""
    try:
        call(**arguments)
    except ClientError as error:
        return error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]
    raise AssertionError("it was not refused")


def expect(seen, wanted):
    assert seen == wanted, f"{seen!r}, not {wanted!r}"


def status(url, body=None):
    try:
        with urllib.request.urlopen(url, data=body, timeout=20) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def presigned(address, key):
    """Not boto3's own: newer ones sign the JSON protocol's fields, which no plain GET has."""
    request = AWSRequest("GET", f"http://{address}/?Action=ListQueues&QueueNamePrefix=a%20b")
    SigV4QueryAuth(Credentials(*key), "sqs", "us-east-1", expires=60).add_auth(request)
    return request.url


def who_gets_in(address):
    root = client("sqs", address, ROOT)
    url = root.create_queue(QueueName="orders-1")["QueueUrl"]
    expect(root.send_message(QueueUrl=url, MessageBody="hello")["MD5OfMessageBody"],
           "5d41402abc4b2a76b9719d911017c592")
    expect(refusal(client("sqs", address, (ROOT[0], "wrong")).list_queues),
           ("SignatureDoesNotMatch", 403))
    expect(refusal(client("sqs", address, ("AKIANOBODY", "x")).list_queues),
           ("InvalidClientTokenId", 403))
    expect(status(f"http://{address}/?Action=ListQueues"), 403)
    expect(status(presigned(address, ROOT)), 200)
    expect(status(presigned(address, ROOT) + "0"), 403)
    expect(client("sts", address, ORDERS).get_caller_identity()["Arn"],
           "arn:aws:iam::000000000000:user/orders")
    return url


def who_may_do_what(address, url):
    root, orders = client("sqs", address, ROOT), client("sqs", address, ORDERS)
    expect(orders.get_queue_url(QueueName="orders-1")["QueueUrl"], url)
    orders.send_message(QueueUrl=url, MessageBody="hello")
    orders.create_queue(QueueName="orders-2")
    denied = ("AccessDenied", 403)
    expect(refusal(orders.create_queue, QueueName="billing"), denied)
    expect(refusal(orders.get_queue_url, QueueName="billing"), denied)
    expect(refusal(orders.receive_message, QueueUrl=url), denied)
    expect(refusal(orders.delete_queue, QueueUrl=url), denied)
    arn = root.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    # A move sends to its destination. Without one it is refused for what it is, not for who asks.
    start = getattr(client("sqs", address, MOVER), "start_message_move_task", None)
    if start is not None:  # an older boto3 has no such call
        expect(refusal(start, SourceArn=arn, DestinationArn=arn.replace("orders-1", "orders-2")),
               denied)
        expect(refusal(start, SourceArn=arn)[0] != "AccessDenied", True)
    policy = ('{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":'
              '"arn:aws:iam::000000000000:user/orders"},"Action":"sqs:ReceiveMessage","Resource":"%s"}]}'
              % arn)
    root.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    expect(len(orders.receive_message(QueueUrl=url)["Messages"]), 1)
    expect(refusal(root.set_queue_attributes, QueueUrl=url,
                   Attributes={"Policy": policy.replace("Action", "NotAction")}),
           ("InvalidAttributeValue", 400))


def reload(server, address, path, text, wanted):
    """Writes the file, sends SIGHUP, and waits for what the log says of it."""
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    before = server.log().count("SIGHUP")
    server.process.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + 20
    while server.log().count("SIGHUP") == before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert wanted in server.log(), server.log()


def main():
    broker.use_programs(*sys.argv[1:3])
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "keys.toml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(FILE)
        code, said = broker.start_refused(os.path.join(folder, "data"), "--credentials", path)
        assert code == 2 and "chmod 600" in said, said
        os.chmod(path, 0o600)
        with broker.Broker(os.path.join(folder, "data"), "--shards", "2", "--segment-size", "4MiB",
                           "--max-disk", "256MiB", "--credentials", path,
                           http="127.0.0.1:0") as server:
            address = server.http
            url = who_gets_in(address)
            who_may_do_what(address, url)
            new = client("sqs", address, NEW)
            expect(refusal(new.list_queues), ("InvalidClientTokenId", 403))
            reload(server, address, path, FILE + MORE, "4 access keys are in force")
            new.send_message(QueueUrl=url, MessageBody="hello")
            reload(server, address, path, "[[key]", "the credentials stay as they were")
            reload(server, address, path, "mode = 'off'", "needs a restart")
            new.send_message(QueueUrl=url, MessageBody="hello")
            reload(server, address, path, FILE, "3 access keys are in force")
            expect(refusal(new.send_message, QueueUrl=url, MessageBody="hello"),
                   ("InvalidClientTokenId", 403))
            log = server.log()
            assert "0123456789abcdef" not in log, log
            expect(len(re.findall("warn  auth: refused", log)) > 0, True)
            expect(server.stop(), 0)


main()
