"""A millraced of a test's own, and the `millrace` command line that talks to it.

Every wait has an end, and a process is only ever ended by its own id. What the programs print is kept:
standard error is one of the things under test.
"""

import json
import os
import re
import signal
import subprocess
import tempfile
import time

START_SECONDS_MAX = 60
STOP_SECONDS_MAX = 30
COMMAND_SECONDS_MAX = 60
RECEIVE_MAX = 1000

MILLRACED = MILLRACE = ""


def use_programs(millraced, millrace):
    global MILLRACED, MILLRACE
    MILLRACED, MILLRACE = os.path.abspath(millraced), os.path.abspath(millrace)


def millrace(*words, server="", stdin=b""):
    environment = {**os.environ, "MILLRACE_SERVER": server}
    return subprocess.run([MILLRACE, *words], input=stdin, capture_output=True, env=environment,
                          timeout=COMMAND_SECONDS_MAX, check=False)


def start_refused(data, *flags):
    """(exit code, standard error) of a start that must end by itself."""
    ended = subprocess.run([MILLRACED, "--data", data, "--listen", "127.0.0.1:0", "--http", "off",
                            "--log-level", "error", *flags], capture_output=True, timeout=START_SECONDS_MAX, check=False)
    return ended.returncode, ended.stderr.decode()


class Failed(Exception):
    pass


class NotStarted(Failed):
    """It ended by itself with `code`, or was ended after a minute without its ready line."""

    def __init__(self, code, log):
        super().__init__(f"millraced did not start: exit {code}: {log}")
        self.code, self.log = code, log


class Broker:
    """From its ready line to stop() or kill(); used with `with`, it never outlives the block."""

    def __init__(self, data, *flags, http="off", environment=None):
        # Not beside the data: the disk there may be full.
        self.errors = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            [MILLRACED, "--data", data, "--listen", "127.0.0.1:0", "--http", http, *flags],
            stdout=subprocess.PIPE, stderr=self.errors, env={**os.environ, **(environment or {})})
        os.set_blocking(self.process.stdout.fileno(), False)
        printed = b""
        deadline = time.monotonic() + START_SECONDS_MAX
        while b"millraced ready:" not in printed or not printed.endswith(b"\n"):
            if self.process.poll() is not None or time.monotonic() > deadline:
                code = self.kill()
                log = self.log()
                self.__exit__()
                raise NotStarted(code, log)
            printed += self.process.stdout.read() or b""
            time.sleep(0.005)
        self.server = re.search(rb"binary=(\S+)", printed).group(1).decode()
        self.http = None if http == "off" else re.search(rb"http=(\S+)", printed).group(1).decode()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.returncode is None:
            self.kill()
        self.process.stdout.close()
        self.errors.close()

    def log(self):
        """What this start wrote on standard error."""
        size = os.fstat(self.errors.fileno()).st_size
        return os.pread(self.errors.fileno(), size, 0).decode(errors="replace")

    def running(self):
        return self.process.poll() is None

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        return self.process.wait(STOP_SECONDS_MAX)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def try_command(self, *words, stdin=b""):
        return millrace("--json", *words, server=self.server, stdin=stdin)

    def command(self, *words, stdin=b""):
        """The JSON lines of a command that must succeed."""
        ended = self.try_command(*words, stdin=stdin)
        if ended.returncode != 0:
            raise Failed(f"millrace {' '.join(words)}: exit {ended.returncode}, {ended.stderr.decode()}"
                         f"\nmillraced: {self.log()[-2000:]}")
        return [json.loads(line) for line in ended.stdout.splitlines()]

    def show(self, queue):
        return self.command("queue", "show", queue)[0]

    def counters(self, queue):
        shown = self.show(queue)
        return shown["ready"], shown["leased"], shown["delayed"]

    def drain(self, queue, calls_max=1000):
        """Receives and acknowledges until the queue answers empty; the bodies, in order."""
        bodies = []
        for _ in range(calls_max):
            got = self.command("receive", queue, "--max", str(RECEIVE_MAX), "--ack")
            if not got:
                return bodies
            bodies += [message["body"] for message in got]
        raise Failed(f"{queue} was not empty after {calls_max} receives")


def refusal_lines(text):
    """What a refused start says, without log lines."""
    return [line for line in text.splitlines() if not re.match(r"\d{4}-\d\d-\d\dT", line)]
