"""Signs random requests with botocore and prints them, for botocore_test.cc.

usage: botocore_requests.py SEED COUNT KEY SECRET TOKEN

Each request is lines of a word and a value: method, target, field (name: value), body (in
hexadecimal), and "end". The first line is "now" and the time in seconds.
"""

import random
import sys
import time
from urllib.parse import quote, urlsplit

from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

TEXTS = ["", "a", "jobs", "a b", "a+b", "a/b", "100%", "%2F", "é", "日本", "~-_.", "x=y&z", "'\"()*!"]
SEGMENTS = ["000000000000", "jobs", "jobs.fifo", ".", "..", "", "a b", "é", "~x", "a+b", "%41"]


def random_request(rng):
    method = rng.choice(["GET", "POST"])
    path = "/" + "/".join(quote(rng.choice(SEGMENTS), safe="") for _ in range(rng.randrange(4)))
    pairs = [
        quote(rng.choice(TEXTS), safe="-_.~") + "=" + quote(rng.choice(TEXTS), safe="-_.~")
        for _ in range(rng.randrange(5))
    ]
    url = rng.choice(["http://127.0.0.1:9324", "https://queue.example.org"]) + path
    if pairs:
        url += "?" + "&".join(pairs)
    body = b""
    headers = {}
    if method == "POST":
        body = rng.randbytes(rng.choice([0, 1, 17, 500, 5000]))
        headers["Content-Type"] = rng.choice(
            ["application/x-amz-json-1.0", "application/x-www-form-urlencoded; charset=utf-8"])
        headers["X-Amz-Target"] = "AmazonSQS.SendMessage"
    if rng.random() < 0.3:
        headers["X-Amz-User-Agent"] = rng.choice(["a  b   c", " a ", "aws-sdk-js/3.0 ua/2.0"])
    if rng.random() < 0.3:
        headers["amz-sdk-request"] = "attempt=1"
    return AWSRequest(method=method, url=url, headers=headers, data=body)


def main():
    seed, count, key, secret, token = sys.argv[1:6]
    rng = random.Random(int(seed))
    print("now", int(time.time()))
    for _ in range(int(count)):
        request = random_request(rng)
        credentials = Credentials(key, secret, token or None)
        # It moves what a POST carries into the query; a presigned URL is for GET.
        presigned = request.method == "GET" and rng.random() < 0.6
        signer = SigV4QueryAuth(credentials, "sqs", "us-east-1", expires=900) \
            if presigned else SigV4Auth(credentials, "sqs", "us-east-1")
        signer.add_auth(request)
        parts = urlsplit(request.url)
        print("method", request.method)
        print("target", (parts.path or "/") + ("?" + parts.query if parts.query else ""))
        print("field", "Host: " + parts.netloc)
        for name, value in request.headers.items():
            print("field", f"{name}: {value}")
        print("body", request.body.hex() if request.body else "")
        print("end")


main()
