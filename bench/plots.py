"""The plots of grid.py's figures, as SVG. Wants matplotlib (Debian: python3-matplotlib)."""

import pathlib

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams["svg.hashsalt"] = "millrace"  # the same figures give the same file
matplotlib.rcParams["svg.fonttype"] = "none"
from matplotlib import pyplot  # noqa: E402  after the backend is chosen

SIZE_INCHES = (7, 4)


def finish(figure, axes, path, xlabel, ylabel):
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    axes.grid(True, which="both", alpha=0.3)
    axes.legend(frameon=False, fontsize="small")
    save(figure, path)


def save(figure, path):
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def rate_against_latency(rows, path):
    figure, axes = pyplot.subplots(figsize=SIZE_INCHES)
    for durability, batch in sorted({(r["durability"], r["batch"]) for r in rows}):
        line = [r for r in rows if (r["durability"], r["batch"]) == (durability, batch)]
        rates = [r["msgs_per_s"] for r in line]
        drawn, = axes.plot(rates, [r["p99_us"] for r in line], "o-", label=f"{durability}, batch {batch}: p99")
        axes.plot(rates, [r["p50_us"] for r in line], "o:", color=drawn.get_color(), label=f"{durability}, batch {batch}: p50")
    axes.set_xscale("log")
    axes.set_yscale("log")
    finish(figure, axes, path, "messages a second, whatever the answers", "end to end, us")


def rate_against_backlog(rows, path):
    figure, axes = pyplot.subplots(figsize=SIZE_INCHES)
    axes.plot([r["depth"] for r in rows], [1e6 / r["msgs_per_s"] for r in rows], "o-", label="leased and acknowledged")
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    finish(figure, axes, path, "messages in the queue", "us a message")


def memory_against_backlog(rows, path):
    figure, axes = pyplot.subplots(figsize=SIZE_INCHES)
    axes.plot([r["depth"] for r in rows], [r["bytes_per_message"] for r in rows], "o-", label="ready, 128 bytes of body")
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    finish(figure, axes, path, "messages in the queue", "bytes of memory a message")


def rate_against_shape(rows, path):
    """By batch and by size, 16 connections."""
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(10, 4), sharey=True)
    for axes, name, usual in ((left, "batch", ("size", 128)), (right, "size", ("batch", 100))):
        for durability, workload in sorted({(r["durability"], r["workload"]) for r in rows}):
            line = sorted((r[name], r["msgs_per_s"]) for r in rows
                          if (r["durability"], r["workload"], r["connections"], r[usual[0]]) ==
                          (durability, workload, 16, usual[1]))
            axes.plot(*zip(*line), "o-" if durability == "none" else "s--", label=f"{workload}, {durability}")
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel("messages in a request, 128 bytes each" if name == "batch" else "bytes of a message, 100 in a request")
        axes.grid(True, which="both", alpha=0.3)
    left.set_ylabel("messages a second")
    left.legend(frameon=False, fontsize="small")
    save(figure, path)


def draw(result, folder: pathlib.Path):
    folder.mkdir(parents=True, exist_ok=True)
    if "rate" in result:
        rate_against_latency(result["rate"], folder / "rate.svg")
    if "backlog" in result:
        rate_against_backlog(result["backlog"], folder / "backlog.svg")
        memory_against_backlog(result["backlog"], folder / "memory.svg")
    if "closed loop" in result:
        rate_against_shape(result["closed loop"], folder / "shapes.svg")
