"""Messages of a mebibyte each, in and out through HTTP by several connections at once: every byte comes back, and what
the server holds in memory stays bounded. A thousand, unless MILLRACE_BIG_MESSAGES says how many.

Arguments: millraced, millrace.
"""

import base64
import hashlib
import http.client
import json
import os
import random
import unittest
from concurrent.futures import ThreadPoolExecutor

from server import serve

MESSAGES = int(os.environ.get("MILLRACE_BIG_MESSAGES", "1000"))
MESSAGE_BYTES = 1 << 20
# So many are in the queue at once: as many again are out of it before the next come.
ROUND = min(250, MESSAGES // 2)
CONNECTIONS = 4
SECONDS_MAX = 60
# What two shards may have in buffers at once, and far from what went through.
ANONYMOUS_MIB_MAX = 64

SERVER = None


class Connection:
    def __init__(self):
        self.http = http.client.HTTPConnection(SERVER.http, timeout=SECONDS_MAX)

    def ask(self, action, **request):
        self.http.request("POST", "/", json.dumps({"QueueUrl": SERVER.queue_url("big"), **request}, ensure_ascii=False)
                          .encode(), {"X-Amz-Target": f"AmazonSQS.{action}"})
        answer = self.http.getresponse()
        content = answer.read()
        assert answer.status == 200, (answer.status, content[:500])
        return json.loads(content or "{}")


def body_of(number):
    """Text that does not compress, with letters of two bytes and with all that JSON escapes."""
    letters = base64.b64encode(random.Random(number).randbytes(MESSAGE_BYTES * 3 // 4 - 48)).decode()
    special = "\n\r\t\"\\/ü<&>" * 4
    text = f"{number} {special}{letters}"
    return text + "." * (MESSAGE_BYTES - len(text.encode()))


def anonymous_mib():
    with open(f"/proc/{SERVER.process.pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("RssAnon")) // 1024


class BigMessages(unittest.TestCase):
    def test_they_go_in_and_come_out_unharmed(self):
        Connection().ask("CreateQueue", QueueName="big")
        connections = [Connection() for _ in range(CONNECTIONS)]
        most_mib = 0

        def send(of_connection, begin):
            digests = {}
            for number in range(begin + of_connection, begin + ROUND, CONNECTIONS):
                body = body_of(number)
                digest = hashlib.md5(body.encode()).hexdigest()
                sent = connections[of_connection].ask("SendMessage", MessageBody=body)
                assert sent["MD5OfMessageBody"] == digest
                digests[sent["MessageId"]] = digest
            return digests

        def receive(of_connection):
            digests = {}
            while True:
                got = connections[of_connection].ask("ReceiveMessage", MaxNumberOfMessages=10).get("Messages", [])
                for message in got:
                    digests[message["MessageId"]] = hashlib.md5(message["Body"].encode()).hexdigest()
                    connections[of_connection].ask("DeleteMessage", ReceiptHandle=message["ReceiptHandle"])
                if not got:
                    return digests

        with ThreadPoolExecutor(CONNECTIONS) as pool:
            for begin in range(0, MESSAGES, ROUND):
                sent, received = {}, {}
                for digests in pool.map(lambda one: send(one, begin), range(CONNECTIONS)):
                    sent.update(digests)
                most_mib = max(most_mib, anonymous_mib())
                for digests in pool.map(receive, range(CONNECTIONS)):
                    received.update(digests)
                most_mib = max(most_mib, anonymous_mib())
                self.assertEqual(ROUND, len(sent))
                self.assertEqual(sent, received)
        print(f"at most {most_mib} MiB of memory of its own")
        self.assertLess(most_mib, ANONYMOUS_MIB_MAX)


if __name__ == "__main__":
    import sys
    SERVER = serve()
    unittest.main(argv=sys.argv[:1], warnings="ignore")
