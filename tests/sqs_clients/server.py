"""The server that the clients of a test talk to: SQS on a free port, and what every client needs to be told.

Arguments of each test: millraced, millrace.
"""

import atexit
import hashlib
import os
import struct
import sys
import tempfile

import broker as programs
from broker import Broker

ACCOUNT = "000000000000"
REGION = "us-east-1"
# Nobody's settings: neither the user's own profile nor the network's metadata service is asked.
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "AKIATESTER000001", "AWS_SECRET_ACCESS_KEY": "tester-secret-tester", "AWS_DEFAULT_REGION": REGION,
    "MILLRACE_ACCESS_KEY_ID": "AKIATESTER000001", "MILLRACE_SECRET_ACCESS_KEY": "tester-secret-tester",
    "AWS_REGION": REGION, "AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true", "AWS_PAGER": "", "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1",
}


class Server(Broker):
    """A broker with HTTP, on a folder that goes with it."""

    def __init__(self, *flags, shards):
        self.folder = tempfile.TemporaryDirectory()
        super().__init__(os.path.join(self.folder.name, "data"), "--shards", str(shards), *flags,
                         http="127.0.0.1:0")
        self.endpoint = f"http://{self.http}"

    def __exit__(self, *_):
        super().__exit__()
        self.folder.cleanup()

    def queue_url(self, name):
        return f"{self.endpoint}/{ACCOUNT}/{name}"

    def resident_kib(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmHWM"))


# The key of ENVIRONMENT may do everything; whatever is signed by no key, or wrongly, nothing.
STRICT = """
mode = "strict"

[[user]]
name = "tester"
  [[user.rule]]
  allow = ["sqs:*"]
  queues = ["*"]
  [[user.rule]]
  allow = ["sns:*"]

[[key]]
id = "{AWS_ACCESS_KEY_ID}"
secret = "{AWS_SECRET_ACCESS_KEY}"
user = "tester"
"""


def serve(*flags, shards=2, credentials=None):
    """The one server of a test file; it must end cleanly when the tests are done.

    What a client sends over different connections lands on different shards; a receive brings what it asked for from all.
    `credentials` is the text of a credentials file; without it anybody may do anything."""
    programs.use_programs(sys.argv[1], sys.argv[2])
    os.environ.update(ENVIRONMENT)
    with tempfile.TemporaryDirectory() as folder:
        if credentials is not None:
            file = os.path.join(folder, "credentials.toml")
            with open(os.open(file, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="utf-8") as written:
                written.write(credentials.format(**ENVIRONMENT))
            flags += ("--credentials", file)
        server = Server(*flags, shards=shards)

    def stop():
        status = server.stop()
        log = server.log()
        server.__exit__()
        if status != 0:
            print(f"millraced ended with status {status}: {log}", file=sys.stderr, flush=True)
            os._exit(1)

    atexit.register(stop)
    return server


def arn(name):
    return f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"


def topic_arn(name):
    return f"arn:aws:sns:{REGION}:{ACCOUNT}:{name}"


def body_md5(text):
    return hashlib.md5(text.encode()).hexdigest()


def attribute_md5(attributes):
    """As the service computes it, from {name: {"DataType", "StringValue" or "BinaryValue"}}."""

    def counted(part):
        return struct.pack(">I", len(part)) + part

    text = b""
    for name in sorted(attributes):
        value = attributes[name]
        text += counted(name.encode()) + counted(value["DataType"].encode())
        if "BinaryValue" in value:
            text += b"\x02" + counted(value["BinaryValue"])
        else:
            text += b"\x01" + counted(value["StringValue"].encode())
    return hashlib.md5(text).hexdigest()
