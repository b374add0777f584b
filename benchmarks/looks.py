"""What looking costs: `python -m benchmarks.looks` diagnoses a server, reads 1,000 domains and meets 500 servers.

Prints a table and, with --json FILE, writes its rows: name, target, measured, unit, met, note. --only takes names of
PARTS. Diagnosis and domains need root on Debian; a part that cannot run here says why and has no rows.
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


def row(name: str, target: str, measured: float, unit: str, met: bool | None, note: str = "") -> dict:
    return {"name": name, "target": target, "measured": round(measured, 2), "unit": unit, "met": met, "note": note}


def measured(part: str, quick: bool) -> list[dict]:
    with tempfile.TemporaryDirectory(prefix="fp-") as folder:
        # The broker's socket lies in the data folder, and a socket's name is short.
        environment = os.environ | {"FLEETPOST_DATA": folder, "FLEETPOST_DATABASE_HOST": ""}
        argv = [sys.executable, "-m", "benchmarks.looks", "--inside", part, *(["--quick"] if quick else [])]
        done = subprocess.run(argv, env=environment, cwd=ROOT, stdout=subprocess.PIPE)
    if done.returncode:
        print(f"{part} ended with {done.returncode}.", file=sys.stderr)
        return []
    return json.loads(done.stdout)


def table(rows: list[dict]) -> str:
    lines = [f"{'':70}{'target':>8}{'measured':>10}         met"]
    for found in rows:
        met = {True: "yes", False: "NO", None: "–"}[found["met"]]
        lines.append(f"{found['name']:70}{found['target']:>8}{found['measured']:>10} {found['unit']:7} {met}")
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
    rows, broken = [], False
    for part in asked.only:
        found = measured(part, asked.quick)
        broken = broken or not found
        rows += found
    print(table(rows))
    if asked.json:
        asked.json.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
