"""Servers for measurements: each on a free port of 127.0.0.1, in a fresh directory, on one core."""

import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

START_S = 120
STOP_S = 30
RUN_S = 900


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def pinned(core):
    """What makes a command run on that core only; None: on any."""
    return [] if core is None else ["taskset", "-c", str(core)]


class Broker:
    """A server that runs while `with` does. `core` None: on any."""

    def __init__(self, label, core):
        self.label = label
        self.core = core
        self.port = free_port()
        self.folder = None
        self.process = None
        self.log = None

    def command(self):
        raise NotImplementedError

    def environment(self):
        return {}

    def set_up(self):
        pass

    def answers(self):
        with socket.socket() as probe:
            # From another address: while nobody listens, the kernel may give a connection that very port, and it reaches itself.
            probe.bind(("127.0.0.2", 0))
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def start(self):
        self.log = open(self.folder / "log", "ab")
        self.process = subprocess.Popen(
            [*pinned(self.core), *map(str, self.command())], stdout=self.log, stderr=self.log,
            cwd=self.folder, env={**os.environ, **self.environment()}, start_new_session=True)
        until = time.monotonic() + START_S
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > until:
                text = (self.folder / "log").read_text(errors="replace")[-2000:]
                self.__exit__()
                sys.exit(f"{self.label} does not start:\n{text}")
            time.sleep(0.01)

    def end(self, *signals):
        # All of its session: RabbitMQ leaves helpers behind.
        for how in signals:
            try:
                os.killpg(self.process.pid, how)
                self.process.wait(STOP_S)
            except (ProcessLookupError, subprocess.TimeoutExpired):
                pass
        self.log.close()

    def __enter__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="millrace-bench-"))
        self.set_up()
        self.start()
        return self

    def __exit__(self, *_):
        self.end(signal.SIGTERM, signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)
        os.sync()  # else the next server's syncs wait for the file system to note what was deleted


class Millrace(Broker):
    """One shard, over the binary protocol; with `http` also over that."""

    def __init__(self, build, durability, core, *flags, http=False):
        super().__init__("millrace", core)
        self.build, self.durability, self.flags = build, durability, flags
        self.http_port = free_port() if http else None
        self.server = f"127.0.0.1:{self.port}"
        self.http = f"127.0.0.1:{self.http_port}" if http else "off"

    def command(self):
        return [self.build / "tools/millraced", "--data", self.folder / "data", "--listen", self.server, "--http",
                self.http, "--shards", "1", "--durability", self.durability, "--log-level", "error", *self.flags]

    def tool(self, *words):
        """The JSON lines of a `millrace` command."""
        done = subprocess.run([self.build / "tools/millrace", "--json", *words], capture_output=True, text=True,
                              env={**os.environ, "MILLRACE_SERVER": self.server}, timeout=RUN_S, check=False)
        if done.returncode != 0:
            sys.exit(f"millrace {' '.join(words)}: {done.stderr.strip()}")
        # Not splitlines(): a body may hold what that takes for the end of a line, U+2028 for one.
        return [json.loads(line) for line in done.stdout.split("\n") if line]

    def bench(self, core, *flags):
        """What one run of millrace-bench on `core` found."""
        server = ("--http", "--server", self.http) if "--http" in flags else ("--server", self.server)
        rest = [flag for flag in flags if flag != "--http"]
        done = subprocess.run([*pinned(core), self.build / "tools/millrace-bench", *server, *map(str, rest), "--json", "-"],
                              capture_output=True, text=True, timeout=RUN_S, check=False)
        if done.returncode != 0:
            sys.exit(f"millrace-bench {' '.join(map(str, flags))}: {done.stderr.strip()}")
        return json.loads(done.stdout.splitlines()[-1])

    def anonymous_bytes(self):
        text = pathlib.Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        return int(re.search(r"RssAnon:\s+(\d+)", text).group(1)) * 1024
