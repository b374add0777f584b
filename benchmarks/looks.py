"""What looking costs: `python -m benchmarks.looks` diagnoses a server, reads 1,000 domains and meets 500 servers.

Prints a table and, with --json FILE, writes its rows: name, target, measured, unit, met, note. --only takes names of
PARTS. Diagnosis and domains need root on Debian; a part that cannot run here says why.
"""

import argparse
import importlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
PARTS = (
    "diagnosis",
    "domains",
    "sweep",
)  # benchmarks/look_NAME.py, each measured in a process and data folder of its own


def row(name: str, target: str, measured: float | str, unit: str, met: bool | None, note: str = "") -> dict:
    measured = measured if isinstance(measured, str) else round(measured, 2)
    return {"name": name, "target": target, "measured": measured, "unit": unit, "met": met, "note": note}


def measured(part: str, quick: bool) -> list[dict]:
    with tempfile.TemporaryDirectory(prefix="fp-") as folder:
        # The broker's socket lies in the data folder, and a socket's name is short.
        environment = os.environ | {"FLEETPOST_DATA": folder, "FLEETPOST_DATABASE_HOST": ""}
        argv = [sys.executable, "-m", "benchmarks.looks", "--inside", part, *(["--quick"] if quick else [])]
        done = subprocess.run(argv, env=environment, cwd=ROOT, capture_output=True, text=True)
    sys.stderr.write(done.stderr)
    if done.returncode:
        why = next(reversed(done.stderr.split("\n")[:-1]), f"it ended with {done.returncode}")
        return [row(part, "", "not measured", "", None, why)]
    return json.loads(done.stdout)


def table(rows: list[dict]) -> str:
    lines = [f"{'':70}{'target':>8}{'measured':>13}         met"]
    for found in rows:
        met = {True: "yes", False: "NO", None: "–"}[found["met"]]
        lines.append(f"{found['name']:70}{found['target']:>8}{found['measured']:>13} {found['unit']:7} {met}")
        lines += [f"    {found['note']}"] if found["note"] else []
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.looks", description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--quick", action="store_true", default=bool(os.environ.get("QUICK")))
    parser.add_argument("--inside", choices=PARTS, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.inside:
        print(json.dumps(importlib.import_module(f"benchmarks.look_{asked.inside}").rows(asked.quick)))
        return 0
    rows = [found for part in asked.only for found in measured(part, asked.quick)]
    print(table(rows))
    if asked.json:
        asked.json.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
