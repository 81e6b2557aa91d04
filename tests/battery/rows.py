"""What the battery consists of: a row is a program, how often it runs in each size, and how to read it."""
import math
import pathlib
import re

SIZES = ("commit", "nightly", "release")
SKIPPED = 77  # a program's word for "not possible on this machine"

MODEL_CONFIGURATIONS = """standard standard-4 standard-delayed fair fair-4 fair-dead-letters fair-retention fifo
    fifo-4 fifo-content fifo-delayed fifo-group fifo-group-4 dead-letters dead-letters-4 fifo-dead-letters
    fifo-dead-letters-4 retention retention-4 fifo-retention dead-letters-retention
    fifo-dead-letters-retention fifo-scope fifo-content-scope""".split()
PLANTED_BUGS = """ack_before_sync no_chaining directory_not_synced sync_retried sequence_reused lease_lost_on_restart
    dedup_lost_when_cleaned group_overtaken dead_letter_left_behind dead_letter_too_late purge_forgotten
    retention_too_early redriven_left_behind backup_cut_apart""".split()
# Those that the clients of a killed server see, and by which rule.
CRASH_BUGS = (("dead_letter_too_late", "C9"), ("purge_forgotten", "C10"), ("lease_lost_on_restart", "C4"))
FUZZERS = """frame_fuzz http_fuzz sqs_fuzz xml_fuzz filter_fuzz signature_fuzz policy_fuzz log_fuzz node_fuzz
    checkpoint_fuzz receipt_fuzz files_fuzz""".split()
# A timeout or more memory than that is a finding. What AddressSanitizer keeps of freed memory is not the program's.
FUZZ_LIMITS = "-timeout=1 -rss_limit_mb=512 -max_len=65536"


class Row:
    """`total` things in pieces of `each`; the piece's command may use {build}, {first}, {count}, {index}."""

    def __init__(self, name, unit, total, each, command, seconds_max=3600, environment=None, program=None):
        self.name, self.unit, self.total, self.each = name, unit, total, each
        self.words = command.split() if isinstance(command, str) else command
        self.seconds_max, self.environment = seconds_max, environment or {}
        self.pieces = math.ceil(total / each)
        self.program = pathlib.Path(program or self.words[0].replace("{build}/", ""))

    def count_of(self, index):
        return min(self.each, self.total - index * self.each)

    def command(self, index, build):
        values = {"build": build, "first": 1 + index * self.each, "count": self.count_of(index), "index": index,
                  "pieces": self.pieces}
        return [word.format(**values) for word in self.words], self.environment

    @staticmethod
    def numbers(output):
        """`3 kills, 1 double crashes` of the last line that has such, as {"kills": 3, ...}."""
        for line in reversed(output.splitlines()):
            found = re.findall(r"(\d+) ([a-z][a-z -]*[a-z])", line)
            if len(found) > 1:
                return {what: int(number) for number, what in found if what not in ("violations", "seeds")}
        return {}

    @staticmethod
    def coverage(output):
        """The table of the simulator's --coverage: {what was asked, on what, and answered how: {how the life of the
        node had begun: how often}}."""
        lines = output.splitlines()
        top = next((i for i, line in enumerate(lines) if line.split()[:2] == ["new", "new+sync"]), len(lines))
        conditions = lines[top].split() if top < len(lines) else []
        found = {}
        for line in lines[top + 1:]:
            columns = line.rsplit(maxsplit=len(conditions))
            if len(columns) <= len(conditions) or not all(c.isdigit() for c in columns[1:]):
                break
            found[columns[0]] = dict(zip(conditions, map(int, columns[1:])))
        return found


def rows(size, fuzz_build=None, tsan_build=None):
    """The rows of `size`, one of SIZES."""
    at = SIZES.index(size)
    crash = "{build}/tests/blackbox/millrace-crash --server {build}/tools/millraced " \
            "--check {build}/tests/checker/millrace-check"
    crash_planted = crash.replace("millraced", "millraced-planted")
    all_rows = [
        Row("simulator", "seeds", (2_000, 200_000, 2_000_000)[at], 250,
            "{build}/tests/sim/millrace-sim-planted --from {first} --count {count} --coverage"),
        # Ten of these for one of the above: other shapes, fewer messages in each.
        Row("simulator, short runs", "seeds", (0, 200_000, 2_000_000)[at], 2_000,
            "{build}/tests/sim/millrace-sim --from {first} --count {count} --steps 400 --coverage"),
        Row("small world", "parts of 1 in 40", 40, 1,
            "{build}/tests/sim/millrace-small-world --length %d --part {index} --parts 40" % (3, 4, 4)[at],
            seconds_max=14_400),
        # A quarter of them are killed again inside the recovery: 50 and 15 to a piece.
        Row("kill -9, commit", "kills", (15, 1_000, 5_000)[at], (15, 50, 50)[at],
            crash + f" --cycles {{count}} --doubles {(5, 15, 15)[at]} --seed {{first}}"),
        Row("kill -9, mixed durabilities", "kills", (15, 1_000, 5_000)[at], (15, 50, 50)[at],
            crash + f" --cycles {{count}} --doubles {(5, 15, 15)[at]} --seed {{first}} --durability mixed"),
        # The server kills itself at each of 30 points in turn.
        Row("crash points", "rounds", (1, 20, 100)[at], 1,
            crash_planted + " --point-rounds {count} --durability mixed --seed {first}"),
        Row("power loss, one shard", "images", (1_040, 100_000, 500_000)[at], 1_040,
            crash + " --cycles 13 --doubles 0 --images 80 --alike 40 --seed {first} --shards 1"),
        Row("power loss, two shards", "images", (960, 100_000, 500_000)[at], 960,
            crash + " --cycles 12 --doubles 0 --images 80 --alike 40 --seed {first}"),
        # Both are whole in every size: the commit size has fewer N, or bytes.
        Row("Nth disk call fails", "parts", (8, 48, 48)[at], 1,
            "{build}/tests/sim/millrace-faults --nth-max %d --part {index} --parts {pieces}" % (4, 200, 200)[at],
            seconds_max=7_200),
        Row("bit flips, cuts, lost segments", "parts", (2, 8, 32)[at], 1,
            "{build}/tests/sim/millrace-damage --part {index} --parts {pieces}"
            + (" --every 64", "", " --all-bits")[at], seconds_max=7_200),
    ]
    for bug, rule in CRASH_BUGS:
        all_rows.append(Row(f"planted bug, {bug}, in the server", "found", 1, 1,
                            crash_planted + f" --cycles 12 --doubles 0 --alike 0 --expect {rule}",
                            environment={"MILLRACE_PLANTED": bug}))
    operations, each = ((60_000, 60_000), (1_000_000, 250_000), (10_000_000, 250_000))[at]
    for configuration in MODEL_CONFIGURATIONS:
        all_rows.append(Row(f"model, {configuration}", "operations", operations, each,
                            f"{{build}}/tests/model/millrace-model --configuration {configuration} "
                            f"--operations {each} --seeds 1 --seed {{first}}"))
    for bug in PLANTED_BUGS:
        all_rows.append(Row(f"planted bug, {bug}", "found", 1, 1,
                            "{build}/tests/sim/millrace-sim-planted --from 1 --count 2000 --expect-violation",
                            environment={"MILLRACE_PLANTED": bug}))
    tests = pathlib.Path(__file__).resolve().parents[1]
    for name, times in (("damage", (1, 1, 1)), ("data_directory", (1, 1, 1)), ("memory_budget", (1, 5, 20)),
                        ("slow_connections", (1, 5, 20))):
        all_rows.append(Row(f"outside, {name.replace('_', ' ')}", "runs", times[at], 1,
                            f"python3 -B {tests}/blackbox/{name}_test.py {{build}}/tools/millraced "
                            "{build}/tools/millrace", program="tools/millraced"))
    preloaded = "{build}/tests/blackbox/libmillrace_fault_preload.so {build}/tools/millraced {build}/tools/millrace"
    all_rows.append(Row("tmpfs filled and drained", "cycles", (5, 200, 200)[at], (5, 20, 20)[at],
                        ["env", "MILLRACE_FULL_DISK_CYCLES={count}", "python3", "-B",
                         f"{tests}/blackbox/full_disk_test.py", "{build}/tools/millraced", "{build}/tools/millrace"],
                        program="tools/millraced"))
    all_rows.append(Row("backups of a busy server", "backups", (5, 200, 2_000)[at], (5, 20, 20)[at],
                        ["env", "MILLRACE_BACKUPS={count}", "python3", "-B", f"{tests}/blackbox/backup_test.py",
                         "{build}/tools/millraced", "{build}/tools/millrace"], program="tools/millraced"))
    # A few of all, or all.
    which = ["MILLRACE_ALLOCATIONS={count}"] + ["MILLRACE_ALLOCATIONS_FROM={first}"] * (at > 0)
    all_rows.append(Row("Nth allocation fails", "allocations", (6, 2_000, 2_000)[at], (6, 50, 50)[at],
                        ["env", *which, "python3", "-B", f"{tests}/blackbox/allocation_test.py", *preloaded.split()],
                        seconds_max=7_200, program="tools/millraced"))
    all_rows.append(Row("clocks that jump, a server stopped", "seconds", (3, 60, 60)[at], (3, 60, 60)[at],
                        ["env", "MILLRACE_STOP_SECONDS={count}", "python3", "-B",
                         f"{tests}/blackbox/clock_test.py", *preloaded.split()], program="tools/millraced"))
    all_rows.append(Row("four times the load, a disk that stands", "runs", (1, 5, 20)[at], 1,
                        f"python3 -B {tests}/blackbox/overload_test.py {preloaded} {{build}}/tools/millrace-bench",
                        program="tools/millraced"))
    all_rows.append(Row("1 MiB messages over HTTP", "messages", (200, 1_000, 10_000)[at], (200, 1_000, 1_000)[at],
                        ["env", f"PYTHONPATH={tests}/blackbox", "MILLRACE_BIG_MESSAGES={count}", "/usr/bin/python3", "-B",
                         f"{tests}/sqs_clients/big_messages_test.py", "{build}/tools/millraced",
                         "{build}/tools/millrace"], program="tools/millraced"))
    all_rows.append(Row("topics: kill -9 while messages are published", "kills", (3, 30, 300)[at], (3, 30, 30)[at],
                        ["env", "MILLRACE_TOPIC_KILLS={count}", "python3", "-B", f"{tests}/blackbox/topic_kill_test.py",
                         "{build}/tools/millraced", "{build}/tools/millrace"], program="tools/millraced"))
    all_rows.append(Row("idle long polls", "polls", (1_000, 10_000, 10_000)[at], (1_000, 10_000, 10_000)[at],
                        "{build}/tests/blackbox/millrace-idle-polls --server {build}/tools/millraced --polls {count}"
                        + ("", " --strict", " --strict")[at]))
    # The rates are asked for where nothing else runs: --jobs 1.
    connections = (500, 10_000, 10_000)[at]
    promised = " --byte-ms 10000 --connects 2000 --phase-ms 12500 --strict" if at > 0 else ""
    for reactor in ("uring", "epoll"):
        all_rows.append(Row(f"slow, deaf, rude and too many peers, {reactor}", "slow connections", connections, connections,
                            "{build}/tests/blackbox/millrace-abuse --server {build}/tools/millraced --connections {count} "
                            f"--reactor {reactor}{promised}"))
    policies = (100_000, 1_000_000, 10_000_000)[at]
    all_rows.append(Row("policies beside a plain evaluator", "policies", policies, policies,
                        ["env", "MILLRACE_POLICIES={count}", "{build}/tests/net/auth_test",
                         "--gtest_filter=PolicyModel.*"], program="tests/net/auth_test"))
    minutes = (1, 120, 4_320)[at]
    all_rows.append(Row("soak", "minutes", minutes, minutes,
                        f"python3 -B {tests}/battery/soak.py --build {{build}} --minutes {{count}}"
                        + (" --kill-every 20 --rate 20000", "", "")[at], seconds_max=minutes * 60 + 1_800,
                        program="tools/millrace-bench"))
    if tsan_build:
        seeds, seconds = ((100, 5), (2_000, 60), (20_000, 300))[at]
        all_rows.append(Row("races", "seeds", seeds, seeds,
                            f"python3 -B {tests}/battery/races.py --build {tsan_build} --seconds {seconds} "
                            "--seeds {count}", seconds_max=14_400, program=tsan_build / "tools/millraced"))
    if fuzz_build:
        seconds = (60, 1_800, 86_400)[at]
        for fuzzer in FUZZERS:
            corpus = tests / "fuzz" / fuzzer.replace("_fuzz", "_corpus")
            words = tests / "fuzz" / f"{fuzzer}.dict"
            dictionary = f"-dict={words} " if words.exists() else ""
            all_rows.append(Row(f"fuzz, {fuzzer}", "seconds", seconds, seconds,
                                ["sh", "-c", f"cd $(mktemp -d) && mkdir new && {fuzz_build}/tests/fuzz/{fuzzer} "
                                             f"-max_total_time={seconds} {FUZZ_LIMITS} {dictionary}new {corpus} 2>&1"],
                                seconds_max=2 * seconds + 600, program=fuzz_build / "tests/fuzz" / fuzzer,
                                environment={"ASAN_OPTIONS": "quarantine_size_mb=32"}))
    return [row for row in all_rows if row.total > 0]
