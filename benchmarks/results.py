"""From raw rows to medians, ratios and targets. Pure; tests/test_benchmarks.py holds it."""

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from statistics import median

TITLES = {
    "reconfigure": "Reconfigure (new account on every server)",
    "unchanged": "Nothing to change (second run)",
    "test": "Test email from every server",
    "install": "Fresh install",
}
NAMES = {"fleetpost": "Fleetpost", "floor": "floor (tuned ssh)", "ansible": "Ansible, best case", "pyinfra": "pyinfra"}


@dataclass(frozen=True)
class Row:
    """One tool, one job, one round. rtt: added milliseconds. control, machines: CPU seconds of all. turns: a server."""

    job: str
    servers: int
    rtt: int
    tool: str
    round: int
    wall: float
    control: float
    machines: float
    turns: float | None = None


@dataclass(frozen=True)
class Middle:
    """Medians over the rounds of one tool; machines is per server."""

    job: str
    servers: int
    rtt: int
    tool: str
    rounds: int
    wall: float
    control: float
    machines: float
    turns: float | None


@dataclass(frozen=True)
class Target:
    """What was measured against what was asked. note: why it is out of reach, found by a profile."""

    name: str
    target: str
    measured: float | str
    unit: str
    met: bool | None  # None: measured, but nothing was asked
    note: str = ""


COLUMNS = ("name", "target", "measured", "unit", "met", "note")


def middles(rows: Iterable[Row]) -> list[Middle]:
    """In the order of first appearance of job, size and distance, tools in the order of NAMES."""
    groups: dict[tuple, list[Row]] = {}
    for row in rows:
        groups.setdefault((row.job, row.servers, row.rtt, row.tool), []).append(row)
    settings = list(dict.fromkeys(key[:3] for key in groups))
    found = []
    for setting in settings:
        for tool in NAMES:
            if of := groups.get((*setting, tool)):
                counted = [row.turns for row in of if row.turns is not None]
                found.append(
                    Middle(
                        *setting,
                        tool,
                        len(of),
                        wall=median(row.wall for row in of),
                        control=median(row.control for row in of),
                        machines=median(row.machines for row in of) / setting[1],
                        turns=median(counted) if counted else None,
                    )
                )
    return found


def targets(found: list[Middle]) -> list[Target]:
    by = {(m.job, m.servers, m.rtt, m.tool): m for m in found}
    judged = []
    for job, servers, rtt in dict.fromkeys((m.job, m.servers, m.rtt) for m in found):
        ours = by.get((job, servers, rtt, "fleetpost"))
        if ours is None:
            continue
        where = f"{TITLES[job].split(' (')[0]}, {servers} servers" + (f", +{rtt} ms" if rtt else "")
        for tool, what, most, least in _limits(job, rtt):
            other = by.get((job, servers, rtt, tool))
            if other is None:
                continue
            mine, theirs = getattr(ours, what), getattr(other, what)
            label = f"{where}: {'wall' if what == 'wall' else 'control CPU'}"
            if most:
                ratio = mine / theirs
                judged.append(Target(f"{label} / floor", f"≤ {most}", ratio, "×", ratio <= most))
            else:
                ratio = theirs / mine
                judged.append(Target(f"{label}, Ansible / Fleetpost", f"≥ {least}", ratio, "×", ratio >= least))
    return judged


def _limits(job: str, rtt: int) -> list[tuple[str, str, float | None, float | None]]:
    """(tool, column, at most, at least); issue 3 sets none for test email and install."""
    if job not in ("reconfigure", "unchanged"):
        return []
    wall = {"unchanged": 20.0, "reconfigure": 5.0 if rtt else 3.0}[job]
    return [
        ("floor", "wall", {"unchanged": 1.3, "reconfigure": 1.2}[job], None),
        ("ansible", "wall", None, wall),
        ("floor", "control", 3.0, None),
        ("ansible", "control", None, 8.0),
    ]


def measured_table(found: list[Middle]) -> str:
    lines = []
    for job, servers, rtt in dict.fromkeys((m.job, m.servers, m.rtt) for m in found):
        of = [m for m in found if (m.job, m.servers, m.rtt) == (job, servers, rtt)]
        floor = next((m for m in of if m.tool == "floor"), None)
        distance = f", {rtt} ms of added round-trip time" if rtt else ""
        lines += ["", f"**{TITLES[job]}**, {servers} servers{distance}", ""]
        lines += ["| tool | rounds | wall s | × floor | control CPU s | × floor | CPU s per server | turns |"]
        lines += ["| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"]
        for m in of:
            walls = f"{m.wall / floor.wall:.2f}" if floor else "–"
            cpus = f"{m.control / floor.control:.1f}" if floor else "–"
            turns = f"{m.turns:.0f}" if m.turns is not None else "–"
            lines.append(
                f"| {NAMES[m.tool]} | {m.rounds} | {m.wall:.2f} | {walls} | {m.control:.2f} | {cpus} "
                f"| {m.machines:.2f} | {turns} |"
            )
    return "\n".join(lines).strip() + "\n"


def target_table(judged: Iterable[Target]) -> str:
    lines = ["| target | asked | measured | |", "| --- | --- | ---: | --- |"]
    for row in judged:
        verdict = {True: "met", False: "**not met**", None: "–"}[row.met]
        note = f": {row.note}" if row.note else ""
        measured = row.measured if isinstance(row.measured, str) else f"{row.measured:.4g}"
        lines.append(f"| {row.name} | {row.target} | {measured} {row.unit} | {verdict}{note} |")
    return "\n".join(lines) + "\n"


def explained(judged: Iterable[Target], reasons: dict[str, str]) -> list[Target]:
    """Targets that were not met with the reason a profile found: {pattern of names: reason}."""
    found = []
    for row in judged:
        reason = next((text for pattern, text in reasons.items() if re.search(pattern, row.name)), "")
        note = "; ".join(filter(None, (row.note, reason)))
        found.append(replace(row, note=note) if row.met is False else row)
    return found


def between(text: str, mark: str, new: str) -> str:
    """`text` with what lies between the markers of `mark` replaced. Raises ValueError when they are not there."""
    begin, end = f"<!-- {mark} -->", f"<!-- /{mark} -->"
    head, found, rest = text.partition(begin)
    _, closed, tail = rest.partition(end)
    if not (found and closed):
        raise ValueError(f"no {begin} … {end}")
    return f"{head}{begin}\n{new.strip()}\n{end}{tail}"


def documents(rows: Iterable[Row | Middle | Target]) -> list[dict]:
    return [asdict(row) for row in rows]
