"""What Millrace's speed is held to: cells of one or more figures, each with the floor it must not miss and the goal.

A cell measures itself on servers of its own, so that cells may take turns in any order. Rates are messages a second,
16 connections and messages of 128 bytes unless its title says otherwise.
"""

import dataclasses
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time
from typing import Callable

from memory import warm
from servers import RUN_S, Millrace, pinned

CONNECTIONS = 16
LOG_BYTES_PER_S = 2 << 30  # as fast as any cell writes
REST_S = 5  # memory and files that were let go of keep a machine and its host busy for so long


@dataclasses.dataclass
class Figure:
    name: str
    unit: str
    floor: float
    goal: float
    less: bool = False  # is better


@dataclasses.dataclass
class Cell:
    title: str
    figures: list[Figure]
    measure: Callable  # of a Place: the figures' values
    slow: bool = False  # minutes: once


class Place:
    """Where it is measured: a built tree, a core for the server and one for the load, and how long."""

    def __init__(self, build, server_core, load_core, seconds, scale):
        self.build, self.server_core, self.load_core = build, server_core, load_core
        self.seconds, self.scale = seconds, scale

    def warm(self, messages=0):
        """For what is written as long as a run is, or for so many messages: what a page took, in us."""
        return warm(int(max(self.seconds * LOG_BYTES_PER_S, messages * 160)))

    def server(self, durability, *flags, http=False, warm_for=0):
        """One to start, after warm(); `warm_for` None: after a rest, for latencies."""
        if warm_for is None:
            time.sleep(REST_S * min(1, self.seconds))
        else:
            self.warm(warm_for)
        return Millrace(self.build, durability, self.server_core, *flags, http=http)

    def bench(self, server, workload, *flags):
        """A run of so many seconds, but of as many messages as are there if the queue is filled first."""
        limit = ("--messages", self.count(2_000_000)) if workload == "consume" and "--messages" not in flags else \
            ("--seconds", self.seconds) if "--messages" not in flags else ()
        connections = () if "--connections" in flags else ("--connections", CONNECTIONS)
        flags = [flag(self) if callable(flag) else flag for flag in flags]
        return server.bench(self.load_core, "--workload", workload, *connections, *limit, *flags)

    def count(self, messages):
        return max(1_000, int(messages * self.scale))


def rate(title, floor, goal, durability, workload, *flags):
    def measure(place):
        with place.server(durability) as server:
            return [place.bench(server, workload, *flags)["msgs_per_s"]]
    return Cell(title, [Figure(title, "msg/s", floor, goal)], measure)


def latency(title, durability, figures, *flags):
    """`figures`: (percentile as millrace-bench names it, floor, goal) in us."""
    def measure(place):
        with place.server(durability, warm_for=None) as server:
            # The load has a core of its own: were it to sleep, its own waking would be what is measured.
            found = place.bench(server, "latency", "--spin", *flags)
            return [found[f"{name}_us"] for name, _, _ in figures]
    return Cell(title, [Figure(f"{title}: {name}", "us", floor, goal, less=True) for name, floor, goal in figures], measure)


def half_of_saturation(title, durability, figures):
    def measure(place):
        with place.server(durability) as server:
            full = place.bench(server, "e2e", "--batch", 10)["msgs_per_s"]
        with place.server(durability, warm_for=None) as server:
            found = place.bench(server, "latency", "--spin", "--batch", 10, "--rate", int(full / 2))
            return [found[f"{name}_us"] for name, _, _ in figures]
    return Cell(title, [Figure(f"{title}: {name}", "us", floor, goal, less=True) for name, floor, goal in figures], measure)


def ratio(title, floor, goal, workload, few, many):
    """The rate with `many` flags beside that with `few`, one after the other."""
    def measure(place):
        rates = []
        for flags in (few, many):
            with place.server("none") as server:
                rates.append(place.bench(server, workload, *flags)["msgs_per_s"])
        return [rates[1] / rates[0]]
    return Cell(title, [Figure(title, "of it", floor, goal)], measure)


def embedded(title, floor, goal, *flags):
    def measure(place):
        place.warm()
        with tempfile.TemporaryDirectory(prefix="millrace-bench-") as folder:
            server = Millrace(place.build, "none", place.server_core)
            found = server.bench(place.load_core, "--embedded", "--durability", "none", "--data", f"{folder}/data",
                                 "--workload", "e2e", "--seconds", place.seconds, *flags)
            return [found["msgs_per_s"]]
    return Cell(title, [Figure(title, "msg/s", floor, goal)], measure)


def http(place):
    rates = []
    with place.server("none", "--test-api", http=True) as server:
        for workload, flags in (("echo", ("--batch", 1)), ("produce", ("--batch", 1)), ("produce", ()),
                                ("consume", ("--messages", place.count(300_000)))):
            rates.append(place.bench(server, workload, "--http", "--connections", 64, *flags)["msgs_per_s"])
    echo, one, ten, consumed = rates
    return [one / echo, ten, consumed]


def backlog(place):
    rates = []
    for depth in (place.count(1_000_000), place.count(100_000_000)):
        with place.server("none", warm_for=depth) as server:
            rates.append(place.bench(server, "consume", "--messages", depth)["msgs_per_s"])
    return [rates[1] / rates[0]]


def memory(place):
    """Anonymous bytes of a message that is ready, and of one that is leased."""
    ready_count, leased_count = place.count(1_000_000), min(100_000, place.count(100_000))
    with place.server("none") as server:
        server.tool("queue", "create", "kept")
        place.bench(server, "produce", "--queue", "kept", "--messages", ready_count)  # buffers are used to their ends
        while server.tool("receive", "kept", "--max", "1000", "--ack"):
            pass
        time.sleep(12)  # what a burst borrowed is given back
        empty = server.anonymous_bytes()
        place.bench(server, "produce", "--queue", "kept", "--messages", ready_count)
        time.sleep(12)
        ready = server.anonymous_bytes()
        for _ in range(leased_count // 1000):
            server.tool("receive", "kept", "--max", "1000", "--visibility", "3600")
        time.sleep(12)
        leased = server.anonymous_bytes()
    return [max(0, ready - empty) / ready_count, max(0, leased - ready) / (leased_count // 1000 * 1000)]


def restart(place):
    """Seconds from a start to the first message received: with a checkpoint, and after kill -9 without one."""
    found, messages = [], place.count(10_000_000)
    with place.server("none", warm_for=messages) as server:
        server.tool("queue", "create", "kept")
        place.bench(server, "produce", "--queue", "kept", "--messages", messages)
        for how in (signal.SIGTERM, signal.SIGKILL):
            server.end(how)
            if how == signal.SIGKILL:
                for checkpoint in pathlib.Path(server.folder).glob("data/**/checkpoint"):
                    checkpoint.unlink()
            began = time.monotonic()
            server.start()
            assert server.tool("receive", "kept", "--ack")
            found.append(time.monotonic() - began)
    return found


def kernel_calls(place):
    """Of the server for a message, end to end, 100 at a time; perf counts them, where it may."""
    if shutil.which("perf") is None:
        return [float("nan")]
    with place.server("none") as server, tempfile.NamedTemporaryFile() as counted:
        counter = subprocess.Popen(["perf", "stat", "-x,", "-e", "raw_syscalls:sys_enter", "-o", counted.name, "-p",
                                    str(server.process.pid)], stderr=subprocess.DEVNULL)
        messages = place.bench(server, "e2e")["messages"]
        counter.send_signal(signal.SIGINT)
        counter.wait(RUN_S)
        found = re.search(rb"^(\d+),,raw_syscalls", pathlib.Path(counted.name).read_bytes(), re.M)
        return [int(found.group(1)) / messages if found else float("nan")]


def instructions(place):
    """Of the server for a message, end to end, 100 at a time, by callgrind; the kernel's are not among them. With epoll,
    because callgrind has no io_uring, and without rep movsb, of which it counts each byte."""
    messages = place.count(1_000_000)
    server = place.server("none")
    whole = server.command
    with tempfile.TemporaryDirectory(prefix="millrace-bench-") as folder:
        server.command = lambda: ["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/out", *whole()]
        server.environment = lambda: {"MILLRACE_REACTOR": "epoll",
                                      "GLIBC_TUNABLES": f"glibc.cpu.x86_rep_movsb_threshold={1 << 30}"}
        with server:
            # Neither the start nor the stop.
            for what in ("--zero", "--dump"):
                subprocess.run(["callgrind_control", what, str(server.process.pid)], stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL, check=True)
                if what == "--zero":
                    place.bench(server, "e2e", "--messages", messages)
            dumped = pathlib.Path(folder, "out.1").read_bytes()
    return [int(re.search(rb"^(?:totals|summary): (\d+)", dumped, re.M).group(1)) / messages]


CELLS = [
    rate("send, batch 100, none", 5e6, 10e6, "none", "produce"),
    rate("send, batch 100, commit", 4e6, 8e6, "commit", "produce"),
    rate("send, batch 10", 2e6, 4e6, "none", "produce", "--batch", 10),
    rate("send, batch 1, 64 in flight", 1e6, 2e6, "none", "produce", "--batch", 1, "--inflight", 64),
    rate("send, batch 1, one at a time", 200e3, 400e3, "none", "produce", "--batch", 1, "--inflight", 1),
    rate("lease + ack, batch 100", 3e6, 6e6, "none", "consume"),
    rate("lease + ack, batch 10", 1e6, 2e6, "none", "consume", "--batch", 10),
    rate("end to end, batch 100, none", 2e6, 4e6, "none", "e2e"),
    rate("end to end, batch 100, commit", 1.5e6, 3e6, "commit", "e2e"),
    rate("send 1 KiB, batch 100", 1.5e6, 3e6, "none", "produce", "--size", 1024),
    rate("send 16 KiB, batch 10", 150e3, 250e3, "none", "produce", "--size", 16384, "--batch", 10),
    latency("20 k/s end to end, none", "none", [("p50", 25, 15), ("p99", 60, 30)], "--rate", 20_000),
    latency("20 k/s end to end, commit", "commit", [("p50", 70, 50), ("p99", 200, 120)], "--rate", 20_000),
    half_of_saturation("half of saturation, batch 10, none", "none", [("p99", 1000, 300), ("p999", 4000, 1000)]),
    ratio("end to end, 1,024 connections against 16", 0.75, 0.9, "e2e", (), ("--connections", 1024, "--inflight", 1)),
    # A connection has at most 256 subscriptions.
    ratio("end to end, 10,000 queues against 1", 0.75, 0.9, "e2e", ("--connections", 64),
          ("--connections", 64, "--queues", lambda place: place.count(10_000))),
    Cell("backlog", [Figure("lease + ack, 100 M messages deep against 1 M", "of it", 0.75, 0.9)], backlog, slow=True),
    embedded("embedded, end to end, batch 100", 6e6, 12e6, "--connections", 1),
    embedded("embedded, end to end, one at a time", 2e6, 4e6, "--connections", 1, "--batch", 1, "--inflight", 1),
    Cell("HTTP, 64 connections", [Figure("SendMessage beside echo", "of it", 0.55, 0.75),
                                  Figure("SendMessageBatch of 10", "msg/s", 500e3, 1e6),
                                  Figure("receive 10 + delete 10", "msg/s", 300e3, 600e3)], http),
    Cell("memory", [Figure("a ready message", "bytes", 8, 2, less=True),
                    Figure("a leased message", "bytes", 48, 32, less=True)], memory, slow=True),
    Cell("restart", [Figure("10 M messages, with checkpoint", "s", 1, 0.3, less=True),
                     Figure("10 M messages after kill -9, without", "s", 3, 1.5, less=True)], restart, slow=True),
    Cell("kernel calls", [Figure("kernel calls a message, batch 100", "calls", 0.02, 0.01, less=True)], kernel_calls),
    Cell("instructions", [Figure("instructions a message, end to end", "instr", 1500, 700, less=True)], instructions,
         slow=True),
]
