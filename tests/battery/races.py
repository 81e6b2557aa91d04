#!/usr/bin/env python3
"""ThreadSanitizer over what has threads: the network tests, a server of two shards under load, the simulator.

    cmake --preset tsan && ninja -C build-tsan
    tests/battery/races.py --build build-tsan --seconds 5 --seeds 100

All of it on the epoll reactor, since ThreadSanitizer sees no ordering that the kernel makes and would report io_uring's own. The
load is millrace-bench's, over the binary protocol and HTTP, on standard and FIFO queues, with metrics read meanwhile. The
first report ends the process that made it, with exit code 66. The last line is the result.
"""

import argparse
import os
import pathlib
import subprocess
import sys
import tempfile
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "blackbox"))
from broker import Broker, use_programs  # noqa: E402

ENVIRONMENT = {"MILLRACE_REACTOR": "epoll", "TSAN_OPTIONS": "halt_on_error=1:second_deadlock_stack=1:exitcode=66"}
REPORTED = 66
PROGRAM_SECONDS_MAX = 900


def run(words, what, seconds=PROGRAM_SECONDS_MAX, may_fail=False):
    """False: a report, or a failure. Tests may fail without one, as a slow machine keeps some waiting; that is said."""
    ended = subprocess.run(words, capture_output=True, env={**os.environ, **ENVIRONMENT}, timeout=seconds,
                           check=False)
    output = ended.stdout.decode(errors="replace") + ended.stderr.decode(errors="replace")
    reported = ended.returncode == REPORTED or "WARNING: ThreadSanitizer" in output
    if reported:
        print(f"{what}: a report\n{output[-6000:]}")
    elif ended.returncode != 0:
        failed = [line for line in output.splitlines() if line.startswith("[  FAILED  ]")]
        print(f"{what}: exit {ended.returncode}, no report {' '.join(failed[:5])}")
    return not reported and (may_fail or ended.returncode == 0)


def net_tests(build):
    """How many there are, if all pass."""
    passed = 0
    programs = sorted(path for path in (build / "tests/net").iterdir()
                      if path.name.endswith("_test") and os.access(path, os.X_OK))
    for program in programs:
        if not run([program, "--gtest_brief=1", "--gtest_filter=-*/uring"], program.name,
                   may_fail=True):
            return None
        passed += 1
    return passed


def load(build, seconds):
    bench = build / "tools/millrace-bench"
    runs = 0
    with tempfile.TemporaryDirectory() as data, \
            Broker(data, "--shards", "2", "--log-level", "error", http="127.0.0.1:0",
                   environment=ENVIRONMENT) as broker:
        loads = []
        for http in (False, True):
            for fifo in (False, True):
                words = [bench, "--workload", "e2e", "--seconds", str(seconds), "--connections", "8", "--size", "200",
                         "--server", broker.http if http else broker.server]
                words += ["--http"] * http + ["--fifo", "--groups", "64"] * fifo
                loads.append(words)
        for words in loads:
            # The bench is built with ThreadSanitizer too.
            with urllib.request.urlopen(f"http://{broker.http}/metrics", timeout=60) as answer:
                answer.read()
            if not run(words, " ".join(map(str, words[1:])), 60 + 20 * seconds):
                print(broker.log()[-6000:])
                return None
            runs += 1
        code = broker.stop()
        log = broker.log()
        if code != 0 or "ThreadSanitizer" in log:
            print(f"millraced: exit {code}\n{log[-6000:]}")
            return None
    return runs


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--seconds", type=int, default=5, help="of each load")
    parser.add_argument("--seeds", type=int, default=100)
    arguments = parser.parse_args()
    build = arguments.build.resolve()
    use_programs(build / "tools/millraced", build / "tools/millrace")
    tests = net_tests(build)
    loads = load(build, arguments.seconds) if tests is not None else None
    good = loads is not None and run([build / "tests/sim/millrace-sim", "--from", "1", "--count", str(arguments.seeds),
                                      "--steps", "400"], "simulator")
    if not good:
        print("1 finding")
        return 1
    print(f"{tests} test programs, {loads} loads, {arguments.seeds} simulator seeds, 0 reports")
    return 0


if __name__ == "__main__":
    sys.exit(main())
