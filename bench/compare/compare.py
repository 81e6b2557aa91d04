#!/usr/bin/env python3
"""The same work on Millrace and on the brokers that Debian has, in one run.

Each broker is started on a free port of 127.0.0.1 with a fresh directory, pinned to one core; the load comes from the
other. Rounds take turns, so that a slow minute of the machine is a slow minute for all. What is compared has equal
durability; a level that a broker does not have is said to have no equal.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench"))
from servers import Broker, Millrace, free_port, pinned  # noqa: E402

PACKAGES = ("redis-server rabbitmq-server nats-server beanstalkd libhiredis-dev librabbitmq-dev libnats-dev").split()
WORKLOADS = ("produce", "consume", "e2e")
RUN_S = 300


class OurBroker(Millrace):
    def load(self, options, workload):
        return [self.build / "tools/millrace-bench", "--server", self.server, "--workload", workload, "--connections",
                options.connections, "--size", options.size, "--batch", options.batch, "--inflight", 1, "--messages",
                options.messages, "--json", "-"]


class Peer(Broker):
    kind = ""
    variant = ""

    def load(self, options, workload):
        return [options.build / "bench/compare/peer-load", "--peer", self.kind, "--port", self.port, "--workload", workload,
                "--connections", options.connections, "--size", options.size, "--batch", options.batch,
                "--messages", options.messages] + (["--variant", self.variant] if self.variant else [])


class Redis(Peer):
    def __init__(self, kind, fsync, core):
        super().__init__(f"{kind}, " + {None: "in memory only", "no": "append-only file",
                                        "always": "append-only file, fsync always"}[fsync], core)
        self.kind, self.fsync = kind, fsync

    def command(self):
        log = ["--appendonly", "no"] if self.fsync is None else ["--appendonly", "yes", "--appendfsync", self.fsync]
        return ["redis-server", "--port", self.port, "--bind", "127.0.0.1", "--dir", self.folder, "--save", ""] + log


class Nats(Peer):
    kind = "nats"

    def __init__(self, core):
        super().__init__("nats JetStream, files", core)

    def command(self):
        return ["nats-server", "-a", "127.0.0.1", "-p", self.port, "-js", "-sd", self.folder / "store"]


class Beanstalkd(Peer):
    kind = "beanstalkd"

    def __init__(self, fsync, core):
        super().__init__("beanstalkd, log" + (", fsync always" if fsync else ""), core)
        self.fsync = fsync

    def set_up(self):
        (self.folder / "log.d").mkdir()

    def command(self):
        return ["beanstalkd", "-l", "127.0.0.1", "-p", self.port, "-b", self.folder / "log.d"] + (
            ["-f", "0"] if self.fsync else ["-F"])


class Rabbit(Peer):
    kind = "rabbitmq"

    def __init__(self, variant, core):
        super().__init__(f"rabbitmq, {variant} queue", core)
        self.variant = variant

    def environment(self):
        return {"RABBITMQ_NODENAME": f"compare{self.port}@localhost", "RABBITMQ_NODE_PORT": str(self.port),
                "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1", "RABBITMQ_DIST_PORT": str(free_port()),
                "RABBITMQ_MNESIA_BASE": str(self.folder / "mnesia"), "RABBITMQ_LOG_BASE": str(self.folder / "logs"),
                "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "plugins"), "HOME": str(self.folder),
                "RABBITMQ_CONFIG_FILE": str(self.folder / "none"),
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1"}

    def set_up(self):
        (self.folder / "plugins").write_text("[].\n")

    def command(self):
        return ["/usr/lib/rabbitmq/bin/rabbitmq-server"]


def brokers(options):
    """Those of each level, ours first. A level's words say what an acknowledged message survives."""
    core = options.server_core
    return {
        "none": ("the process killed, not the machine", [
            OurBroker(options.build, "none", core), Redis("redis-lists", "no", core), Redis("redis-streams", "no", core),
            Nats(core), Beanstalkd(False, core), Rabbit("classic", core)],
            ["Redis without a file, which loses all with the process; it is under `memory`"]),
        "commit": ("loss of power", [
            OurBroker(options.build, "commit", core), Redis("redis-lists", "always", core),
            Redis("redis-streams", "always", core), Beanstalkd(True, core), Rabbit("quorum", core)],
            ["NATS 2.9, which syncs every two minutes at best"]),
        "memory": ("nothing; ours with durability none beside it, which survives a kill", [
            OurBroker(options.build, "none", core), Redis("redis-lists", None, core), Redis("redis-streams", None, core)],
            []),
    }


def run(broker, options, workload):
    """Messages a second, of one run on a fresh broker."""
    with broker:
        command = [*pinned(options.load_core), *map(str, broker.load(options, workload))]
        done = subprocess.run(command, capture_output=True, text=True, timeout=RUN_S)
        if done.returncode != 0:
            sys.exit(f"compare.py: {broker.label}, {workload}: {done.stderr.strip()}")
        return json.loads(done.stdout)["msgs_per_s"]


def short(rate):
    return f"{rate / 1e6:.2f} M" if rate >= 1e6 else f"{rate / 1e3:.0f} k"


def table(level, words, rates, notes):
    lines = [f"`{level}`: what is acknowledged survives {words}", "",
             "| broker | " + " | ".join({"produce": "send", "consume": "lease + ack", "e2e": "end to end"}[w] for w in WORKLOADS)
             + " | ours, end to end, is |", "|---|" + "---:|" * (len(WORKLOADS) + 1)]
    ours = statistics.median(rates["millrace"]["e2e"])
    for label, found in rates.items():
        cells = [f"{short(statistics.median(found[w]))} ({short(min(found[w]))}..{short(max(found[w]))})" for w in WORKLOADS]
        times = "" if label == "millrace" else f"{ours / statistics.median(found['e2e']):.1f} x"
        lines.append(f"| {label} | " + " | ".join(cells) + f" | {times} |")
    return "\n".join(lines + [""] + [f"No equal: {note}." for note in notes])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build", help="a built tree")
    parser.add_argument("--level", action="append", choices=("none", "commit", "memory"), help="default: all")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--messages", type=int, default=200_000, help="of each run")
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--server-core", type=int, default=0)
    parser.add_argument("--load-core", type=int, default=1)
    parser.add_argument("--json", type=pathlib.Path, help="every figure")
    options = parser.parse_args()
    options.build = options.build.resolve()
    missing = [name for name in PACKAGES if subprocess.run(["dpkg", "-s", name], capture_output=True).returncode != 0]
    if missing:
        sys.exit("compare.py: install what it compares with:\n  apt-get install -y --no-install-recommends "
                 + " ".join(missing))
    subprocess.run(["cmake", str(options.build)], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["cmake", "--build", str(options.build), "--target", "peer-load", "millraced", "millrace-bench"],
                   check=True, stdout=subprocess.DEVNULL)
    found = {}
    for level in options.level or ("none", "commit", "memory"):
        words, all_of_it, notes = brokers(options)[level]
        rates = {broker.label: {w: [] for w in WORKLOADS} for broker in all_of_it}
        for _ in range(options.rounds):
            for workload in WORKLOADS:
                for broker in brokers(options)[level][1]:
                    rates[broker.label][workload].append(run(broker, options, workload))
        found[level] = rates
        print(table(level, words, rates, notes), "\n", flush=True)
    if options.json:
        config = {k: str(v) for k, v in vars(options).items()}
        options.json.write_text(json.dumps({"config": config, "msgs_per_s": found}, indent=1))


if __name__ == "__main__":
    main()
