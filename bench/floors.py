#!/usr/bin/env python3
"""The table of figures that Millrace is held to, measured on this machine.

    bench/floors.py --build build --rounds 5 --json floors.json     # a quiet machine, half an hour
    bench/floors.py --build build --only "end to end"
    bench/floors.py --build build --smoke                           # that every cell can be measured; figures mean nothing

The server has one core, the load another. Rounds take turns through all cells, so that a slow minute of the machine is
not one cell's; shown is the median, and the least and the most. What the machine gives to any program is measured in every
round and shown below: no broker's latency is less than the bare ping-pong of the same minutes. Exit 0: measured, whatever
it was.
"""

import argparse
import json
import math
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile
import time

import cells

ROOT = pathlib.Path(__file__).resolve().parents[1]


def short(value, unit):
    if math.isnan(value):
        return "not to be had"
    if unit == "msg/s":
        return f"{value / 1e6:.2f} M" if value >= 1e6 else f"{value / 1e3:.0f} k"
    return f"{value:.3g}" if value < 100 else f"{value:,.0f}"


def verdict(figure, median):
    def reaches(bound):
        return median <= bound if figure.less else median >= bound
    return "goal" if reaches(figure.goal) else "floor" if reaches(figure.floor) else "**missed**"


def table(found):
    lines = ["| | unit | median | least..most | floor | goal | |", "|---|---|---:|---:|---:|---:|---|"]
    for figure, values in found:
        median = statistics.median(values)
        shown = [short(v, figure.unit) for v in (median, min(values), max(values), figure.floor, figure.goal)]
        lines.append(f"| {figure.name} | {figure.unit} | {shown[0]} | {shown[1]}..{shown[2]} | {shown[3]} | {shown[4]} | "
                     f"{verdict(figure, median)} |")
    return "\n".join(lines)


# What the machine itself gives, by machine_floor in every round: (where in its answer, unit, title).
MACHINE = [
    (("asleep_us", "p50"), "us", "16 bytes to the other core and back, the sender asleep: p50"),
    (("asleep_us", "p99"), "us", "the same: p99"),
    (("awake_us", "p50"), "us", "the same, the sender awake: p50"),
    (("awake_us", "p99"), "us", "the same: p99"),
    (("durable_us", "p50"), "us", "4 KiB written and made durable: p50"),
    (("durable_us", "p99"), "us", "the same: p99"),
    (("frames_per_s",), "msg/s", "frames of 128 bytes echoed, 100 a write"),
    (("stolen", 0), "of it", "time that a thread on the server's core is not run, in gaps above 100 us"),
    (("stolen", 1), "of it", "the same on the load's core"),
    (("page_us",), "us", "a page of 4 KiB used for the first time, in the mean (done before each run)"),
]


def machine_floor(place):
    done = subprocess.run([place.build / "bench/machine_floor", "--json", tempfile.gettempdir()], capture_output=True, text=True,
                          timeout=120, check=True)
    found = {**json.loads(done.stdout), "page_us": place.warm()}
    values = []
    for path, _, _ in MACHINE:
        value = found
        for step in path:
            value = value[step]
        values.append(value)
    return values


def machine_table(rounds):
    lines = ["| the machine itself | unit | median | least..most |", "|---|---|---:|---:|"]
    for (_, unit, title), values in zip(MACHINE, zip(*rounds)):
        shown = [short(v, unit) for v in (statistics.median(values), min(values), max(values))]
        lines.append(f"| {title} | {unit} | {shown[0]} | {shown[1]}..{shown[2]} |")
    return "\n".join(lines)


def machine():
    model = [line.split(":", 1)[1].strip() for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines()
             if line.startswith("model name")]
    commit = subprocess.run(["git", "-C", str(ROOT), "describe", "--always", "--dirty"], capture_output=True, text=True,
                            check=False).stdout.strip()
    return {"cpu": model[0] if model else platform.machine(), "cores": len(model), "kernel": platform.release(),
            "commit": commit}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build", help="a built tree")
    parser.add_argument("--rounds", type=int, default=5, help="slow cells have one in three of them")
    parser.add_argument("--seconds", type=float, default=3, help="of a run")
    parser.add_argument("--only", action="append", help="cells whose title begins so; may be repeated")
    parser.add_argument("--server-core", type=int, default=0)
    parser.add_argument("--load-core", type=int, default=1)
    parser.add_argument("--scale", type=float, default=1, help="of how many messages are there where it matters")
    parser.add_argument("--smoke", action="store_true", help="each cell once, briefly, on any core; but not the slow ones")
    parser.add_argument("--json", type=pathlib.Path, help="every figure")
    options = parser.parse_args()
    place = cells.Place(options.build.resolve(), options.server_core, options.load_core, options.seconds, options.scale)
    chosen = [cell for cell in cells.CELLS
              if not options.only or any(cell.title.startswith(only) for only in options.only)]
    if options.smoke:
        place = cells.Place(options.build.resolve(), None, None, 0.2, 0.01)
        options.rounds, chosen = 1, [cell for cell in chosen if not cell.slow]
    if not chosen:
        sys.exit(f"floors.py: no cell begins with {options.only}; there are: " + "; ".join(c.title for c in cells.CELLS))
    values = {cell.title: [] for cell in chosen}
    floors = []
    for turn in range(options.rounds):
        floors.append(machine_floor(place))
        for cell in chosen:
            if not cell.slow or turn % 3 == 0:
                values[cell.title].append(cell.measure(place))
                print(f"{time.strftime('%H:%M:%S')} {turn + 1}/{options.rounds} {cell.title}: "
                      + ", ".join(short(v, f.unit) for f, v in zip(cell.figures, values[cell.title][-1])),
                      file=sys.stderr, flush=True)
    found = [(figure, [round_[i] for round_ in values[cell.title]])
             for cell in chosen for i, figure in enumerate(cell.figures)]
    print(table(found), end="\n\n")
    print(machine_table(floors))
    if options.json:
        figures = [{"figure": f.name, "unit": f.unit, "floor": f.floor, "goal": f.goal, "less_is_better": f.less,
                    "values": v} for f, v in found]
        itself = [{"figure": title, "unit": unit, "values": v} for (_, unit, title), v in zip(MACHINE, zip(*floors))]
        options.json.write_text(json.dumps({"machine": machine(), "seconds": options.seconds, "figures": figures,
                                            "machine_itself": itself}, indent=1))


if __name__ == "__main__":
    main()
