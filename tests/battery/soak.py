#!/usr/bin/env python3
"""Half of what the machine can do, for hours, with a kill -9 every few minutes.

    tests/battery/soak.py --build build --minutes 120 --kill-every 600

Each life of the server carries an open-loop load of millrace-bench, which checks every message, and holds some
messages that are delayed for longer than the life, in the oldest segments there are. Before the kill messages are sent
over HTTP; what was acknowledged must be there in the next life. Watched: anonymous memory and descriptors (their slope
within a life, after its first fifth), and what the log takes beside what lives in it. The last line is the
result; exit 0: nothing lost or doubled, descriptors level, the log within its bound.
"""

import argparse
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "blackbox"))
from broker import Broker, use_programs  # noqa: E402

SAMPLE_SECONDS = 5
KEPT_MESSAGES = 500
DELAYED_MESSAGES = 100
LEAK_MIB_PER_HOUR = 1.0
# docs/operations.md: four times what lives, three segments, and the reserve for a full disk.
LOG_FACTOR = 4
LOG_SEGMENTS = 8
BENCH_GRACE_SECONDS = 60


def anonymous_kib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return int(re.search(r"RssAnon:\s+(\d+)", file.read()).group(1))


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def sqs(broker, action, **members):
    request = urllib.request.Request(f"http://{broker.http}/", json.dumps(members).encode(),
                                     {"X-Amz-Target": f"AmazonSQS.{action}",
                                      "Content-Type": "application/x-amz-json-1.0"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read() or b"{}")


def metric(text, name):
    return sum(float(value) for value in re.findall(rf"^{name}{{[^}}]*}} (\S+)$", text, re.M))


def send(broker, url, first, count, delay=0):
    """Bodies that were acknowledged."""
    acknowledged = set()
    for at in range(first, first + count, 10):
        entries = [{"Id": str(i), "MessageBody": f"kept {at + i}", "DelaySeconds": delay} for i in range(10)]
        answer = sqs(broker, "SendMessageBatch", QueueUrl=url, Entries=entries)
        acknowledged |= {f"kept {at + int(entry['Id'])}" for entry in answer.get("Successful", [])}
    return acknowledged


def drain(broker, url):
    received = []
    while True:
        messages = sqs(broker, "ReceiveMessage", QueueUrl=url, MaxNumberOfMessages=10,
                       VisibilityTimeout=600).get("Messages", [])
        if not messages:
            return received
        received += [message["Body"] for message in messages]
        entries = [{"Id": str(i), "ReceiptHandle": m["ReceiptHandle"]} for i, m in enumerate(messages)]
        sqs(broker, "DeleteMessageBatch", QueueUrl=url, Entries=entries)


def slope_per_hour(samples):
    """Of (seconds, KiB), in MiB an hour."""
    if len(samples) < 3:
        return 0.0
    return statistics.linear_regression(*zip(*samples)).slope * 3600 / 1024


class Life:
    def __init__(self, broker, seconds, options):
        self.broker, self.seconds, self.options = broker, seconds, options
        self.memory, self.open_files, self.excess = [], [], []

    def run(self):
        """Messages that the load sent, and what it found wrong."""
        with tempfile.NamedTemporaryFile(suffix=".json") as result:
            bench = subprocess.Popen(
                [self.options.build / "tools/millrace-bench", "--server", self.broker.server, "--workload", "latency",
                 "--rate", str(self.options.rate), "--batch", "10", "--connections", "8",
                 "--seconds", str(self.seconds), "--json", result.name], stdout=subprocess.DEVNULL)
            begun = time.monotonic()
            while bench.poll() is None:
                time.sleep(SAMPLE_SECONDS)
                passed = time.monotonic() - begun
                if passed > self.seconds + BENCH_GRACE_SECONDS:
                    bench.kill()
                    bench.wait()
                    return 0, [f"the load did not end {BENCH_GRACE_SECONDS} s after its time"]
                if self.seconds / 5 < passed < self.seconds:
                    self.sample(passed)
            figures = json.load(result)
        wrong = [f"{figures[what]} {what}" for what in ("lost", "duplicates") if figures[what] != 0]
        if bench.returncode != 0:
            wrong.append(f"millrace-bench ended with {bench.returncode}")
        return figures["messages"], wrong

    def sample(self, passed):
        pid = self.broker.process.pid
        self.memory.append((passed, anonymous_kib(pid)))
        self.open_files.append(descriptors(pid))
        with urllib.request.urlopen(f"http://{self.broker.http}/metrics", timeout=60) as answer:
            text = answer.read().decode()
        live = metric(text, "millrace_shard_log_live_bytes")
        disk = metric(text, "millrace_shard_log_disk_bytes")
        bound = LOG_FACTOR * live + LOG_SEGMENTS * self.options.segment_mib * 2**20 * self.options.shards
        self.excess.append(disk / bound)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=lambda path: pathlib.Path(path).resolve(), default="build")
    parser.add_argument("--minutes", type=float, default=120)
    parser.add_argument("--kill-every", type=float, default=600, metavar="SECONDS")
    parser.add_argument("--rate", type=int, default=100_000, help="messages a second")
    parser.add_argument("--shards", type=int, default=1)
    parser.add_argument("--segment-mib", type=int, default=16)
    options = parser.parse_args()
    use_programs(options.build / "tools/millraced", options.build / "tools/millrace")
    flags = ("--shards", str(options.shards), "--segment-size", f"{options.segment_mib}MiB", "--log-level", "warn")
    end = time.monotonic() + options.minutes * 60
    messages, kills, wrong, slopes, excess, drift = 0, 0, [], [], 0.0, 0
    kept, first = set(), 0
    with tempfile.TemporaryDirectory(prefix="millrace-soak-") as folder:
        while time.monotonic() < end and not wrong:
            with Broker(os.path.join(folder, "data"), *flags, http="127.0.0.1:0") as broker:
                url = sqs(broker, "CreateQueue", QueueName="kept")["QueueUrl"]
                received = drain(broker, url)
                missing = kept - set(received)
                if missing:
                    wrong.append(f"{len(missing)} acknowledged messages are gone after a kill, {min(missing)} of them")
                # Those of the life before may be due by now; each is received once.
                if len(received) != len(set(received)):
                    wrong.append(f"{len(received) - len(set(received))} messages came twice")
                late = sqs(broker, "CreateQueue", QueueName="late")["QueueUrl"]
                send(broker, late, 0, DELAYED_MESSAGES, delay=900)
                life = Life(broker, max(10, min(options.kill_every, end - time.monotonic())), options)
                sent, found = life.run()
                messages, wrong = messages + sent, wrong + found
                slopes.append(slope_per_hour(life.memory))
                excess = max([excess, *life.excess])
                if life.open_files:
                    drift = max(drift, life.open_files[-1] - life.open_files[0])
                kept = send(broker, url, first, KEPT_MESSAGES)
                first += KEPT_MESSAGES
                broker.kill()
                kills += 1
            print(f"life {kills}: {sent} messages, memory {slopes[-1]:+.2f} MiB/h, descriptors {drift:+d}, log "
                  f"{excess:.2f} of its bound", flush=True)
    if excess > 1:
        wrong.append(f"the log took {excess:.2f} of what it may")
    if drift > 2:
        wrong.append(f"{drift} more descriptors than at first")
    slope = statistics.median(slopes) if slopes else 0.0
    for what in wrong:
        print(f"violation: {what}")
    print(f"{messages} messages, {kills} kills, {len(wrong)} violations; memory {slope:+.2f} MiB/h "
          f"({'within' if slope < LEAK_MIB_PER_HOUR else 'over'} {LEAK_MIB_PER_HOUR})")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
