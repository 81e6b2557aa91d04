#!/usr/bin/env python3
"""Half of what the machine can do, for hours, with a kill -9 every few minutes.

    tests/battery/soak.py --build build --minutes 120 --kill-every 600

Each life of the server carries an open-loop load of millrace-bench, which checks every message, and holds some
messages that are delayed for longer than the life, in the oldest segments there are. Before the kill messages are sent
over HTTP; what was acknowledged must be there in the next life. Watched: descriptors, what the log takes beside what lives
in it, and how anonymous memory rises within a life: the least of each half minute, after its first fifth. A life begins
with a burst, because receive buffers are part of the process once they were used to their ends, which without it
happens at some time. The last line is the result; exit 0: nothing lost or doubled, descriptors level, memory and the
log within their bounds.
"""

import argparse
import itertools
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
from broker import Broker, Failed, use_programs  # noqa: E402

SAMPLE_SECONDS = 5
FLOOR_SECONDS = 30
BURST_SECONDS = 10
KEPT_MESSAGES = 500
DELAYED_MESSAGES = 100
LEAK_MIB_PER_HOUR = 1.0
SLOPE_LIFE_SECONDS = 300  # in less a slope says nothing
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
    """Of the floor of (seconds, KiB), in MiB an hour: the median slope of all pairs (Theil and Sen), which one step, up or
    down, does not move."""
    floors = {}
    for seconds, kib in samples:
        at = int(seconds // FLOOR_SECONDS)
        floors[at] = min(floors.get(at, kib), kib)
    slopes = [(b - a) / (FLOOR_SECONDS * (late - early))
              for (early, a), (late, b) in itertools.combinations(sorted(floors.items()), 2)]
    return statistics.median(slopes) * 3600 / 1024 if slopes else 0.0


class Life:
    def __init__(self, broker, seconds, options):
        self.broker, self.seconds, self.options = broker, seconds, options
        self.memory, self.open_files, self.excess = [], [], []

    def burst(self):
        """What the burst found wrong."""
        with tempfile.NamedTemporaryFile(suffix=".json") as result:
            code = subprocess.run(
                [self.options.build / "tools/millrace-bench", "--server", self.broker.server, "--workload", "e2e",
                 "--connections", "16", "--seconds", str(BURST_SECONDS), "--json", result.name],
                stdout=subprocess.DEVNULL, timeout=BURST_SECONDS + BENCH_GRACE_SECONDS, check=False).returncode
            return self.wrong(code, json.load(result))

    @staticmethod
    def wrong(code, figures):
        wrong = [f"{figures[what]} {what}" for what in ("lost", "duplicates") if figures[what] != 0]
        return wrong + ([f"millrace-bench ended with {code}"] if code != 0 else [])

    def run(self):
        """Messages that the load sent, and what it found wrong."""
        with tempfile.NamedTemporaryFile(suffix=".json") as result:
            bench = subprocess.Popen(
                [self.options.build / "tools/millrace-bench", "--server", self.broker.server, "--workload", "latency",
                 "--rate", str(self.options.rate), "--batch", "10", "--connections", "8",
                 "--seconds", f"{self.seconds:.3f}", "--json", result.name], stdout=subprocess.DEVNULL)
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
        return figures["messages"], self.wrong(bench.returncode, figures)

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


class Soak:
    """All lives, one after the other, on one data directory."""

    def __init__(self, options):
        self.options = options
        self.flags = ("--shards", str(options.shards), "--segment-size", f"{options.segment_mib}MiB", "--log-level",
                      "warn")
        self.end = time.monotonic() + options.minutes * 60
        self.messages, self.kills, self.wrong = 0, 0, []
        self.slopes, self.excess, self.drift = [], 0.0, 0
        self.kept, self.first = set(), 0

    def run(self):
        with tempfile.TemporaryDirectory(prefix="millrace-soak-") as folder:
            while time.monotonic() < self.end and not self.wrong:
                try:
                    with Broker(os.path.join(folder, "data"), *self.flags, http="127.0.0.1:0") as broker:
                        try:
                            self.live(broker)
                        except (Failed, OSError, ValueError, subprocess.SubprocessError) as why:
                            code = broker.process.poll()
                            state = "runs" if code is None else f"ended with {code}"
                            self.wrong.append(f"life {self.kills} stopped short: {why!r}; the server {state}: {broker.log()}")
                except Failed as why:
                    self.wrong.append(f"no start after {self.kills} kills: {why}")

    def live(self, broker):
        url = sqs(broker, "CreateQueue", QueueName="kept")["QueueUrl"]
        received = drain(broker, url)
        missing = self.kept - set(received)
        if missing:
            self.wrong.append(f"{len(missing)} acknowledged messages are gone after a kill, {min(missing)} of them")
        # Those of the life before may be due by now; each is received once.
        if len(received) != len(set(received)):
            self.wrong.append(f"{len(received) - len(set(received))} messages came twice")
        late = sqs(broker, "CreateQueue", QueueName="late")["QueueUrl"]
        send(broker, late, 0, DELAYED_MESSAGES, delay=900)
        seconds = min(self.options.kill_every, self.end - time.monotonic()) - BURST_SECONDS
        life = Life(broker, max(10, seconds), self.options)
        self.wrong += life.burst()
        sent, found = life.run()
        self.messages += sent
        self.wrong += found
        self.slopes.append(slope_per_hour(life.memory))
        self.excess = max([self.excess, *life.excess])
        if life.open_files:
            self.drift = max(self.drift, life.open_files[-1] - life.open_files[0])
        self.kept = send(broker, url, self.first, KEPT_MESSAGES)
        self.first += KEPT_MESSAGES
        broker.kill()
        self.kills += 1
        least = min((kib for _, kib in life.memory), default=0) / 1024
        print(f"life {self.kills}: {sent} messages, memory {self.slopes[-1]:+.2f} MiB/h from {least:.1f} MiB, "
              f"descriptors {self.drift:+d}, log {self.excess:.2f} of its bound", flush=True)

    def result(self):
        """Prints what was found; the exit code."""
        if self.excess > 1:
            self.wrong.append(f"the log took {self.excess:.2f} of what it may")
        if self.drift > 2:
            self.wrong.append(f"{self.drift} more descriptors than at first")
        slope = statistics.median(self.slopes) if self.slopes else 0.0
        if self.options.kill_every >= SLOPE_LIFE_SECONDS and slope >= LEAK_MIB_PER_HOUR:
            self.wrong.append(f"memory rose by {slope:.2f} MiB an hour, {LEAK_MIB_PER_HOUR} are allowed")
        for what in self.wrong:
            print(f"violation: {what}")
        print(f"{self.messages} messages, {self.kills} kills, {len(self.wrong)} violations; memory {slope:+.2f} MiB/h")
        return 1 if self.wrong else 0


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
    soak = Soak(options)
    soak.run()
    return soak.result()


if __name__ == "__main__":
    sys.exit(main())
