#!/usr/bin/env python3
"""How Millrace's figures move: with size, batch, connections and durability, with the rate, and with the backlog.

    bench/grid.py --build build --json grid.json --plots docs/plots    # a quiet machine, ten minutes
    bench/grid.py --build build --only rate
    bench/grid.py --build build --smoke                                # one run of each; figures mean nothing

The server has one core, the load another that does not sleep in open loops. Prints tables; --plots draws them as SVG
(Debian: python3-matplotlib). What must be reached is floors.py's business.
"""

import argparse
import itertools
import json
import pathlib
import statistics
import sys
import time

import cells
from floors import short

WORKLOADS = {"produce": "send", "consume": "lease + ack", "e2e": "end to end"}
SIZES = [128, 1024, 16384]
BATCHES = [1, 10, 100]
CONNECTIONS = [1, 16, 256]
DURABILITIES = ["none", "commit"]
SHARES = [0.1, 0.25, 0.5, 0.7, 0.85]  # of what is reached when the load does not hold back
DEPTHS = [10_000, 100_000, 1_000_000, 10_000_000]
PLAIN = {"size": 128, "batch": 100, "connections": 16}
FILL_BYTES = 1 << 30  # what a queue is filled with at most before it is measured how it empties


def flags_of(shape):
    return [word for name, value in shape.items() for word in (f"--{name}", value)]


def shapes():
    """Each size, batch and number of connections, the others as they usually are; and the corners of batch and
    connections."""
    found = [PLAIN]
    for name, values in (("size", SIZES), ("batch", BATCHES), ("connections", CONNECTIONS)):
        found += [{**PLAIN, name: value} for value in values]
    found += [{**PLAIN, "batch": batch, "connections": connections}
              for batch, connections in itertools.product(BATCHES, CONNECTIONS)]
    return [shape for i, shape in enumerate(found) if shape not in found[:i]]


def closed_loop(place, options):
    """Requests as fast as answers come."""
    rows = []
    chosen = shapes()[:1] if options.smoke else shapes()
    for durability, shape, workload in itertools.product(DURABILITIES, chosen, WORKLOADS):
        messages = min(place.count(2_000_000), FILL_BYTES // shape["size"], 40_000 * shape["batch"])
        with place.server(durability) as server:
            limit = ["--messages", messages] if workload == "consume" else []
            run = place.bench(server, workload, *flags_of(shape), *limit)
        rows.append({"durability": durability, **shape, "workload": workload, "msgs_per_s": run["msgs_per_s"],
                     "p50_us": run["p50_us"], "p99_us": run["p99_us"]})
        tell(rows[-1])
    return rows


def open_loop(place, options):
    """At shares of what is reached without a rate: the latency from the moment a message was to be sent to its arrival."""
    rows = []
    for durability, batch in itertools.product(DURABILITIES[:1] if options.smoke else DURABILITIES, [1, 10]):
        with place.server(durability) as server:
            full = place.bench(server, "e2e", "--batch", batch, "--inflight", 64)["msgs_per_s"]
        for share in SHARES[:1] if options.smoke else SHARES:
            with place.server(durability, warm_for=None) as server:
                run = place.bench(server, "latency", "--spin", "--batch", batch, "--rate", max(100, int(full * share)))
            rows.append({"durability": durability, "batch": batch, "share": share, "msgs_per_s": run["msgs_per_s"],
                         **{f"{name}_us": run[f"{name}_us"] for name in ("p50", "p99", "p999")}})
            tell(rows[-1])
    return rows


def backlog(place, options):
    """What emptying a queue costs, by how much is in it, and what a message that waits takes of memory."""
    rows = []
    for depth in DEPTHS[:1] if options.smoke else DEPTHS:
        with place.server("none") as server:
            server.tool("queue", "create", "deep")
            place.bench(server, "produce", "--queue", "deep", "--messages", place.count(2_000_000))
            while server.tool("receive", "deep", "--max", "1000", "--ack"):
                pass
            settle(options)
            empty = server.anonymous_bytes()
            place.bench(server, "produce", "--queue", "deep", "--messages", depth)
            settle(options)
            held = max(0, server.anonymous_bytes() - empty)
        with place.server("none") as server:
            run = place.bench(server, "consume", "--messages", depth)
        rows.append({"depth": depth, "msgs_per_s": run["msgs_per_s"], "bytes_per_message": held / depth})
        tell(rows[-1])
    return rows


def settle(options):
    """What a burst borrowed is given back after ten seconds."""
    if not options.smoke:
        time.sleep(12)


SECTIONS = {"closed loop": closed_loop, "rate": open_loop, "backlog": backlog}


def tell(row):
    print(f"{time.strftime('%H:%M:%S')} " + ", ".join(f"{k} {v}" for k, v in row.items()), file=sys.stderr, flush=True)


def rounded(value):
    return value if isinstance(value, str) else short(value, "msg/s" if value >= 1e4 else "")


def table(rows):
    lines = ["| " + " | ".join(rows[0]) + " |", "|" + "---|" * len(rows[0])]
    return "\n".join(lines + ["| " + " | ".join(rounded(v) for v in row.values()) + " |" for row in rows])


def merged(rounds):
    """The same rows of several rounds: the median of what was measured."""
    rows = []
    for same in zip(*rounds):
        rows.append({key: value if not isinstance(value, float) else statistics.median(row[key] for row in same)
                     for key, value in same[0].items()})
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parents[1] / "build")
    parser.add_argument("--only", action="append", choices=SECTIONS, help="may be repeated")
    parser.add_argument("--rounds", type=int, default=1, help="shown is the median")
    parser.add_argument("--seconds", type=float, default=2, help="of a run")
    parser.add_argument("--server-core", type=int, default=0)
    parser.add_argument("--load-core", type=int, default=1)
    parser.add_argument("--smoke", action="store_true", help="one run of each, briefly, on any core")
    parser.add_argument("--json", type=pathlib.Path, help="every figure")
    parser.add_argument("--plots", type=pathlib.Path, help="a folder for the plots")
    options = parser.parse_args()
    place = cells.Place(options.build.resolve(), options.server_core, options.load_core, options.seconds, 1)
    if options.smoke:
        place = cells.Place(options.build.resolve(), None, None, 0.2, 0.01)
    rounds = {name: [] for name in options.only or SECTIONS}
    for _ in range(options.rounds):
        for name, found in rounds.items():
            found.append(SECTIONS[name](place, options))
    result = {name: merged(found) for name, found in rounds.items()}
    for name, rows in result.items():
        print(f"\n{name}\n\n{table(rows)}")
    if options.json:
        options.json.write_text(json.dumps(result, indent=1))
    if options.plots:
        import plots  # what it needs is needed for nothing else
        plots.draw(result, options.plots)


if __name__ == "__main__":
    main()
