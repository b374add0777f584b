"""python picture.py RESULTS.json PICTURE.svg: walls of every tool as multiples of the floor. Needs matplotlib alone."""

import json
import sys
from statistics import median

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plot  # noqa: E402

# Mid-tones that keep 3:1 against a white and a near-black page; the legend says what each is.
COLOURS = {"fleetpost": "#2f7de1", "floor": "#8a8f98", "ansible": "#d9622b", "pyinfra": "#2e9a6a"}
NAMES = {"fleetpost": "Fleetpost", "floor": "floor: tuned ssh", "ansible": "Ansible, best case", "pyinfra": "pyinfra"}
JOBS = {
    "reconfigure": "reconfigure",
    "unchanged": "nothing to change",
    "test": "test email",
    "install": "fresh install",
}
INK = "#7a7f87"


def main(source: str, target: str) -> None:
    with open(source) as file:
        rows = json.load(file)["rows"]
    settings = list(dict.fromkeys((row["job"], row["servers"], row["rtt"]) for row in rows))
    plot.rcParams.update(
        {"svg.fonttype": "none", "svg.hashsalt": "speed", "font.family": "sans-serif", "font.size": 10}
    )
    for name in ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"):
        plot.rcParams[name] = INK
    figure, axes = plot.subplots(figsize=(9, 0.75 * len(settings) + 1.2))
    for at, tool in enumerate(COLOURS):
        walls = [middle(rows, setting, tool) for setting in settings]
        places = [row + (at - 1.5) * 0.2 for row in range(len(settings))]
        bars = axes.barh(places, walls, height=0.18, color=COLOURS[tool], label=NAMES[tool])
        axes.bar_label(bars, labels=[f"{wall:.1f} s" if wall else "" for wall in walls], padding=3, fontsize=8)
    axes.set_yticks(range(len(settings)), [label(*setting) for setting in settings])
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xlabel("seconds until the last server is done (logarithmic)")
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.12)
    axes.legend(frameon=False, ncols=4, loc="lower center", bbox_to_anchor=(0.4, 1.0))
    figure.savefig(target, transparent=True, bbox_inches="tight", metadata={"Date": None})


def middle(rows: list[dict], setting: tuple, tool: str) -> float:
    walls = [row["wall"] for row in rows if (row["job"], row["servers"], row["rtt"], row["tool"]) == (*setting, tool)]
    return median(walls) if walls else 0


def label(job: str, servers: int, rtt: int) -> str:
    return f"{JOBS[job]}\n{servers} servers" + (f", +{rtt} ms" if rtt else "")


if __name__ == "__main__":
    main(*sys.argv[1:])
