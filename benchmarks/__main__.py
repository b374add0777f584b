"""python -m benchmarks: everything issues 3 and 4 ask to be measured, in one run. `make bench` prepares what it needs.

--servers 20 50     sizes; the first gets every job, the others reconfigure and nothing-to-change
--rounds 3          of each tool and job, interleaved
--only reconfigure,unchanged,test,install,engine,pages,looks
--quick             a smoke run: 3 servers, one round, no file is written
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.markdown import Markdown

from benchmarks import others, results
from benchmarks.fleetrun import DELAY, JOBS, TOOLS, Contest
from benchmarks.results import Row, Target
from benchmarks.servers import PythonFleet
from tests.fleet.host import obstacles
from tests.fleet.labels import reserved_label

HERE = Path(__file__).parent
ROOT = HERE.parent
PAGE = ROOT / "docs" / "performance.md"
PICTURE = ROOT / "docs" / "pictures" / "speed.svg"
EXTRA = ("engine", "pages")
LOOKS = "looks"  # has a part of the page to itself, written whenever it was measured
MARKS = {"real-servers": "measured", LOOKS: LOOKS}  # raw rows -> part of the page
RTT = round(2000 * DELAY)
INSTALLS = 10  # servers of the fresh install: each costs three CPU-seconds of apt and dpkg per tool
# Seconds on two cores of one round of all tools, per server and per round; for the estimate alone.
PER_SERVER = {"reconfigure": 1.4, "unchanged": 0.9, "test": 0.6, "install": 7.0}
PER_ROUND = {"reconfigure": 14, "unchanged": 11, "test": 11, "install": 12}


@dataclass(frozen=True)
class Turn:
    """One job at one size and distance, over all rounds."""

    job: str
    servers: int
    rtt: int


def turns(sizes: list[int], jobs: list[str]) -> list[Turn]:
    found = []
    for rtt in (0, RTT):
        for at, size in enumerate(sizes):
            chosen = [job for job in jobs if job in ("reconfigure", "unchanged") or at == 0]
            found += [Turn(job, size, rtt) for job in chosen if job != "install"]
    # Last, because it leaves servers that only one tool has installed.
    return found + ([Turn("install", min(INSTALLS, sizes[0]), 0)] if "install" in jobs else [])


def estimate(todo: list[Turn], rounds: int, most: int) -> float:
    """Minutes."""
    work = sum(PER_SERVER[turn.job] * turn.servers + PER_ROUND[turn.job] for turn in todo) * rounds
    return (work + 3.0 * most + 30) / 60


def compete(sizes: list[int], rounds: int, jobs: list[str], say) -> tuple[list[Row], list[str]]:
    """The rows, and a sentence for each turn that failed; one that failed does not end the run."""
    todo = turns(sizes, jobs)
    rows: list[Row] = []
    failures: list[str] = []
    say(f"{max(sizes)} servers, {rounds} rounds: about {estimate(todo, rounds, max(sizes)):.0f} minutes on two cores.")
    with reserved_label("bench") as label:
        began = time.monotonic()
        with PythonFleet(label, max(sizes)) as fleet:
            say(f"{max(sizes)} servers are up after {time.monotonic() - began:.1f} s.")
            with Contest(fleet, say) as contest:
                contest.prepare()
                for turn in todo:
                    contest.far(turn.rtt / 2000)
                    for number in range(rounds):
                        tools = TOOLS[number % len(TOOLS) :] + TOOLS[: number % len(TOOLS)]
                        for tool in tools:
                            row = contest.attempt(turn.job, fleet.servers[: turn.servers], turn.rtt, number, tool)
                            (rows if isinstance(row, Row) else failures).append(row)
    return rows, failures


def machine() -> dict:
    import django
    import paramiko

    head = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    return {
        "when": datetime.now(UTC).strftime("%Y-%m-%d"),
        "commit": head.stdout.strip(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "django": django.__version__,
        "paramiko": paramiko.__version__,
    }


def extras(names: list[str], quick: bool, say) -> tuple[list[Target], list[str]]:
    """What the panel's own benchmarks found; each is a module that prints a table and writes rows with --json."""
    found, failures = [], []
    for name in names:
        if not (HERE / f"{name}.py").exists():
            continue
        say(f"benchmarks.{name}")
        with tempfile.NamedTemporaryFile(suffix=".json") as file:
            environment = os.environ | ({"QUICK": "1"} if quick else {})
            argv = [sys.executable, "-m", f"benchmarks.{name}", "--json", file.name]
            status = subprocess.run(argv, cwd=ROOT, env=environment).returncode
            text = Path(file.name).read_text()
        if not text:
            failures.append(f"benchmarks.{name} ended with {status} and no rows")
            continue
        found += [Target(**{key: row[key] for key in results.COLUMNS}) for row in json.loads(text)]
    return found, failures


def said(about: dict) -> str:
    return (
        f"Measured {about['when']} at {about['commit']}: {about['cores']} cores, Linux {about['kernel']}, "
        f"Python {about['python']}, Django {about['django']}, paramiko {about['paramiko']}. The servers share these "
        "cores, so their own CPU is part of every wall time: read the ratios, not the seconds."
    )


def page(found: list[results.Middle], judged: list[Target], failures: list[str], about: dict) -> str:
    parts = [said(about), "### Targets of jobs, worker and pages", results.target_table(judged)]
    parts += ["### Every tool", results.measured_table(found)]
    if failures:
        parts += ["### What failed in this run", "\n".join(f"- {text}" for text in failures)]
    return "\n\n".join(parts)


def looks_page(judged: list[Target], about: dict) -> str:
    return "\n\n".join([said(about), "### Targets of looks", results.target_table(judged)])


def keep(name: str, text: str, raw: dict) -> Path:
    """Writes the part of the page and the rows it was made of. Gives the file of the rows."""
    file = HERE / "results" / f"{name}.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(raw, indent=1) + "\n")
    PAGE.write_text(results.between(PAGE.read_text(), MARKS[name], text))
    return file


def draw(file: Path) -> None:
    subprocess.run([str(others.BIN / "python"), str(HERE / "picture.py"), str(file), str(PICTURE)], check=True)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("--servers", type=int, nargs="+", default=[20, 50])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default=",".join((*JOBS, *EXTRA, LOOKS)), help="comma-separated")
    parser.add_argument("--quick", action="store_true")
    chosen = parser.parse_args()
    chosen.only = chosen.only.split(",")
    if unknown := set(chosen.only) - {*JOBS, *EXTRA, LOOKS}:
        parser.error(f"not a job: {', '.join(sorted(unknown))}")
    if chosen.quick:
        chosen.servers, chosen.rounds = [3], 1
    return chosen


def main() -> int:
    chosen = arguments()
    console = Console(highlight=False)
    began = time.monotonic()

    def say(text: str) -> None:
        minutes, seconds = divmod(int(time.monotonic() - began), 60)
        console.print(f"{minutes:3}:{seconds:02}  {text}", markup=False, soft_wrap=True)

    jobs = [job for job in JOBS if job in chosen.only]
    if jobs and (reasons := obstacles()):
        say("No servers can be booted here: " + "; ".join(reasons))
        return 1
    rows, failures = compete(chosen.servers, chosen.rounds, jobs, say) if jobs else ([], [])
    more, broken = extras([name for name in EXTRA if name in chosen.only], chosen.quick, say)
    looks, lost = extras([LOOKS] if LOOKS in chosen.only else [], chosen.quick, say)
    found = results.middles(rows)
    notes = json.loads((HERE / "reasons.json").read_text())
    judged, looked = (results.explained(some, notes) for some in ([*results.targets(found), *more], looks))
    failures += broken
    about = machine()
    text, looks_text = page(found, judged, failures, about), looks_page(looked, about)
    for shown in (text if judged or failures else "", looks_text if looked else ""):
        console.print(Markdown(shown))
    if {*JOBS, *EXTRA} <= set(chosen.only) and not chosen.quick:
        raw = {"machine": about, "rows": results.documents(rows), "targets": results.documents(judged)}
        draw(file := keep("real-servers", text, raw))
        say(f"Written: {PAGE.relative_to(ROOT)}, {PICTURE.relative_to(ROOT)}, {file.relative_to(ROOT)}")
    if looked and not chosen.quick:
        file = keep(LOOKS, looks_text, {"machine": about, "targets": results.documents(looked)})
        say(f"Written: {PAGE.relative_to(ROOT)}, {file.relative_to(ROOT)}")
    failures += lost
    for failure in failures:
        say(f"Failed: {failure}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
