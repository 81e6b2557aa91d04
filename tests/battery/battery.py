#!/usr/bin/env python3
"""The battery: every way there is to make Millrace lose or invent something, in three sizes.

    tests/battery/battery.py --size commit            # minutes: what tools/test runs of it
    tests/battery/battery.py --size nightly --jobs 2  # hours; stopped and started again, it goes on
    tests/battery/battery.py --size nightly --only simulator --hours 1

It runs the programs of a built tree in pieces, notes each piece that ended in the state folder, prints one
table and writes it as JSON. A failing piece is shown with what replays it. Exit: 0 nothing found, 1 something,
2 used wrongly.
"""
import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import subprocess
import sys
import threading
import time

import rows

ROOT = pathlib.Path(__file__).resolve().parents[2]
OUTPUT_KEPT = 40  # lines of a failing piece
COVERED = 100  # times each thing was tried after each fault, or the table says which was not


class State:
    """Pieces that ended, a JSON line each, of one commit and size."""

    def __init__(self, folder, commit, size):
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"{size}-{commit}.jsonl"
        self.lock = threading.Lock()
        self.ended = {}
        if self.path.exists():
            for line in self.path.read_text().splitlines():
                try:
                    piece = json.loads(line)
                except ValueError:
                    continue  # the last line of a run that was killed
                self.ended[piece["row"], piece["piece"]] = piece

    def note(self, piece):
        with self.lock:
            self.ended[piece["row"], piece["piece"]] = piece
            with self.path.open("a") as out:
                out.write(json.dumps(piece) + "\n")


def run_piece(row, index, build, log):
    command, environment = row.command(index, build)
    began = time.monotonic()
    try:
        done = subprocess.run(command, env={**os.environ, **environment}, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True, timeout=row.seconds_max, check=False)
        output, code = done.stdout, done.returncode
    except subprocess.TimeoutExpired as late:
        output = (late.stdout or b"").decode(errors="replace") + f"\nnot done after {row.seconds_max} s"
        code = -1
    skipped = code == rows.SKIPPED
    failed = code != 0 and not skipped
    replay = re.search(r"^replay: (.*)$", output, re.M)
    piece = {
        "row": row.name, "piece": index, "count": 0 if skipped else row.count_of(index), "failed": failed,
        "skipped": skipped, "seconds": round(time.monotonic() - began, 1),
        "numbers": {} if failed else row.numbers(output),
    }
    coverage = row.coverage(output)
    if coverage:
        piece["coverage"] = coverage
    if failed:
        shown = " ".join(f"{k}={v}" for k, v in environment.items())
        piece["replay"] = replay.group(1) if replay else f"{shown} {' '.join(map(str, command))}".strip()
        piece["output"] = output.splitlines()[-OUTPUT_KEPT:]
        log(f"{row.name}: FAILED: {piece['replay']}")
        for line in piece["output"][-3:]:
            log(f"    {line}")
    return piece


def table(chosen, state):
    lines = []
    for row in chosen:
        ended = [p for (name, _), p in state.ended.items() if name == row.name]
        numbers = {}
        for piece in ended:
            for key, value in piece["numbers"].items():
                numbers[key] = numbers.get(key, 0) + value
        lines.append({
            "what": row.name, "of": row.total, "unit": row.unit, "done": sum(p["count"] for p in ended),
            "skipped": any(p["skipped"] for p in ended),
            "violations": sum(p["failed"] for p in ended),
            "replay": [p["replay"] for p in ended if p["failed"]],
            "seconds": round(sum(p["seconds"] for p in ended)), "numbers": numbers,
        })
    return lines


def coverage_of(chosen, state):
    """What the pieces that were run covered, together."""
    names = {row.name for row in chosen}
    total = {}
    for (name, _), piece in state.ended.items():
        for what, after in piece.get("coverage", {}).items() if name in names else ():
            cells = total.setdefault(what, {})
            for condition, times in after.items():
                cells[condition] = cells.get(condition, 0) + times
    return dict(sorted(total.items()))


def show_coverage(coverage):
    if not coverage:
        return
    cells = [(what, condition, times) for what, after in coverage.items() for condition, times in after.items()]
    rare = [cell for cell in cells if cell[2] < COVERED]
    print(f"\ncovered: {len(coverage)} answers to operations on states, {len(cells)} with the faults before them; "
          f"{len(cells) - len(rare)} at least {COVERED} times, {sum(c[2] == 0 for c in rare)} never")
    for what, after in coverage.items():
        fewer = [f"{condition} {times}" for condition, times in after.items() if times < COVERED]
        if fewer:
            print(f"    {what}: {', '.join(fewer)}")


def show(lines):
    print("\n| what | how many | of | violations | CPU and waiting, s |\n|---|---|---|---|---|")
    for line in lines:
        done = "skipped here" if line["skipped"] and not line["done"] else f"{line['done']:,} {line['unit']}"
        print(f"| {line['what']} | {done} | {line['of']:,} | {line['violations']} | {line['seconds']:,} |")
    for line in lines:
        if line["numbers"]:
            print(f"{line['what']}: " + ", ".join(f"{v:,} {k}" for k, v in line["numbers"].items()))
        for replay in line["replay"]:
            print(f"{line['what']} replay: {replay}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=rows.SIZES, default="commit")
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build", help="a built tree")
    parser.add_argument("--fuzz-build", type=pathlib.Path, help="one of the fuzz preset; without it no fuzzers")
    parser.add_argument("--tsan-build", type=pathlib.Path, help="one of the tsan preset; without it no look for races")
    parser.add_argument("--state", type=pathlib.Path, help="where to note what is done; default: BUILD/battery")
    parser.add_argument("--json", type=pathlib.Path, help="the table as JSON; default: STATE/SIZE.json")
    parser.add_argument("--only", action="append", help="rows whose name begins so; may be repeated")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--hours", type=float, default=24, help="begin no piece after so long")
    parser.add_argument("--list", action="store_true", help="show the rows and go")
    arguments = parser.parse_args()

    commit = subprocess.run(["git", "-C", ROOT, "describe", "--always", "--dirty", "--abbrev=12"],
                            stdout=subprocess.PIPE, text=True, check=False).stdout.strip() or "unknown"
    chosen = [r for r in rows.rows(arguments.size, arguments.fuzz_build, arguments.tsan_build)
              if not arguments.only or any(r.name.startswith(o) for o in arguments.only)]
    if not chosen:
        print(f"no row begins with {arguments.only}; --list shows them", file=sys.stderr)
        return 2
    if arguments.list:
        for row in chosen:
            print(f"{row.total:>10,} {row.unit:<18} {row.name}")
        return 0
    missing = [p for p in {r.program for r in chosen} if not (arguments.build / p).exists()
               and not p.is_absolute()]
    if missing:
        print(f"not built: {', '.join(str(arguments.build / p) for p in missing)}", file=sys.stderr)
        return 2

    folder = arguments.state or arguments.build / "battery"
    state = State(folder, commit, arguments.size)
    # A piece of each row in turn: a run that is cut short has something of everything.
    waiting = [[(row, i) for i in range(row.pieces) if (row.name, i) not in state.ended] for row in chosen]
    order = [piece for turn in range(max(map(len, waiting), default=0))
             for of_row in waiting if turn < len(of_row) for piece in [of_row[turn]]]
    end = time.monotonic() + arguments.hours * 3600

    def work(piece):
        if time.monotonic() < end:
            state.note(run_piece(*piece, arguments.build, lambda text: print(text, flush=True)))

    print(f"{arguments.size}, {commit}: {len(order)} pieces to go, {len(state.ended)} done before", flush=True)
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        try:
            list(pool.map(work, order))
        except KeyboardInterrupt:
            end = 0
    lines = table(chosen, state)
    show(lines)
    coverage = coverage_of(chosen, state)
    show_coverage(coverage)
    out = arguments.json or folder / f"{arguments.size}.json"
    result = {"size": arguments.size, "commit": commit, "rows": lines, "coverage": coverage}
    out.write_text(json.dumps(result, indent=2) + "\n")
    return 1 if any(line["violations"] for line in lines) else 0


if __name__ == "__main__":
    sys.exit(main())
