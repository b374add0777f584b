"""What a look at an installed gateway found. Pure. A finding: {"slug", "state": warn | fail | unknown, "text", "hint"},
and "cause" where a sentence without counts says what is behind it, with the "area" and slug ("because") of the
catalogue. The texts name parameters and never their values, which only some people may read."""

import re
from collections.abc import Iterable

from gateway.postfix import files, maincf, manifest, paths
from gateway.postfix.facts import Facts
from gateway.postfix.manifest import Manifest
from gateway.providers.replies import Explanation, explain
from servers.remote.plan import Plan

NAMED = 5  # parameters; the rest is counted
CHANGES = "changes"  # beside the paths of Gateway.diffs: what `changes` found
OLD_MAIL, STUCK_MAIL = 3600, 24 * 3600  # seconds
TRIED_TWICE = 300  # seconds; Postfix's first pause, so what waits longer for one cause is no hiccup
CLOCK_OFF = 120  # seconds; the way to the server and back is in it
LOW_DISK, FULL_DISK, LOW_INODES = 500_000_000, 50_000_000, 2000
REAPPLY = "Look at what differs, then keep it or reapply our settings."
_SETTING = re.compile(r"[+-]([A-Za-z0-9_.]+)\s*=")


def finding(slug: str, state: str, text: str, hint: str = "", **more: str) -> dict:
    return {"slug": slug, "state": state, "text": text, "hint": hint} | more


def differences(facts: Facts, todo: Plan) -> list[dict]:
    """How the server differs from what we wrote there, given the plan that would put it right; [] for an empty one."""
    if todo.empty:
        return []
    if not facts.postfix:
        hint = "Reapply our settings: it installs Postfix again. If that was on purpose, uninstall the gateway."
        return [finding("postfix", "fail", "Postfix is no longer installed.", hint)]
    found = _service(facts) + _settings(facts, todo) + _tables(facts, todo)
    found += [finding(refusal.cause, "fail", refusal.what, refusal.fix) for refusal in todo.refusals]
    if not found:
        count = "One step" if len(todo.steps) == 1 else f"{len(todo.steps)} steps"
        found = [finding("settings", "fail", f"{count} would put it right: {_titles(todo)}.", REAPPLY)]
    return found


def stopped(facts: Facts) -> bool:
    """Whether Postfix is there and nothing leaves this server, whatever its settings say."""
    return bool(facts.postfix) and not facts.running


def panel_changed(facts: Facts, todo: Plan) -> bool:
    """main.cf and the tables are as we wrote them and Postfix runs on them; only this version of the panel would write
    them differently."""
    record, slugs = manifest.read(facts), {step.slug for step in todo.steps}
    return bool(
        todo.diffs
        and record
        and record.written
        and facts.main_cf_digest == record.written[0]
        and facts.running
        and facts.enabled
        and "packages" not in slugs
        and ("maps" not in slugs or record.format != files.form() and _tables_untouched(facts, record))
    )


def newly(todo: Plan) -> str:
    """What this version of the panel does, where `panel_changed`: "sets biff", "writes the tables"."""
    if any(step.slug == "maps" for step in todo.steps):
        return "writes the tables"
    return f"sets {', '.join(parameters(todo)[:NAMED]) or 'main.cf'}"


def unrecorded(facts: Facts, todo: Plan) -> bool:
    """The server is as wanted; only the record there does not tell yet which of its values a person adopted."""
    record, slugs = manifest.read(facts), {step.slug for step in todo.steps}
    return bool(
        record
        and {directory.name for directory in facts.maps} == {record.generation}
        and facts.running
        and facts.enabled
        and "configure" in slugs
        and not slugs & {"packages", "maps"}
        and not (todo.diffs or todo.restarts)
    )


def changes(facts: Facts, todo: Plan) -> dict[str, list[str | None]]:
    """Parameter -> [value in main.cf now, value the plan gives it]; None where there is none."""
    after = next((file.content for step in todo.steps for file in step.files if file.path == paths.MAIN_CF), None)
    if facts.main_cf is None or after is None:
        return {}
    there, wanted = facts.settings, maincf.values(maincf.decode(after))
    names = dict.fromkeys([*there, *wanted])
    return {name: [there.get(name), wanted.get(name)] for name in names if there.get(name) != wanted.get(name)}


def parameters(todo: Plan) -> list[str]:
    """Names of the main.cf parameters the plan would change, each once, in the order of the file."""
    lines = todo.diffs.get(paths.MAIN_CF, "").splitlines()
    return list(dict.fromkeys(match[1] for line in lines if (match := _SETTING.match(line))))


def conditions(facts: Facts) -> list[dict]:
    """What is wrong around the gateway, whatever its settings: mail that waits, the clock, room for the queue."""
    return _queue(facts) + _clock(facts) + _disk(facts)


def _service(facts: Facts) -> list[dict]:
    if not facts.running:
        hint = "Look at `systemctl status postfix` there; reapplying our settings starts it."
        return [finding("postfix", "fail", "Postfix does not run.", hint)]
    if not facts.enabled:
        hint = "Reapply our settings, or run `systemctl enable postfix` there."
        return [finding("boot", "warn", "Postfix would not start after a reboot.", hint)]
    return []


def _settings(facts: Facts, todo: Plan) -> list[dict]:
    if manifest.read(facts) is None:
        return [finding("record", "fail", "The panel's record on the server is gone or damaged.", REAPPLY)]
    if facts.main_cf is None:
        return [finding("settings", "fail", "main.cf is gone.", REAPPLY)]
    if names := parameters(todo):
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        return [finding("settings", "fail", f"main.cf differs: {', '.join(names[:NAMED])}{more}.", REAPPLY)]
    if todo.diffs:
        return [finding("settings", "fail", "main.cf differs.", REAPPLY)]
    return []


def _tables(facts: Facts, todo: Plan) -> list[dict]:
    record, there = manifest.read(facts), {directory.name for directory in facts.maps}
    if record is None:
        return []
    if record.generation not in there:
        return [finding("tables", "fail", "The tables with the sign-in are gone.", REAPPLY)]
    if any(step.slug == "maps" for step in todo.steps):
        if _tables_untouched(facts, record):
            text = "The tables with the sign-in are as we wrote them; this server's names or its Postfix changed since."
            return [finding("tables", "fail", text, "Reapply our settings: it writes them anew.")]
        return [finding("tables", "fail", "The tables with the sign-in were changed.", REAPPLY)]
    if there != {record.generation}:
        return [finding("tables", "warn", "There are tables the panel did not write.", REAPPLY)]
    return []


def _tables_untouched(facts: Facts, record: Manifest) -> bool:
    """Whether the tables are those an earlier run wrote, known without their contents."""
    there = next((directory for directory in facts.maps if directory.name == record.generation), None)
    if there is None or not record.tables:
        return False
    private = {(mode, owner) for mode, owner, _ in there.files.values()} == {("600", "root")}
    return private and (there.mode, there.owner, there.seal) == ("700", "root", record.tables)


def _titles(todo: Plan) -> str:
    return ", ".join(step.title[:1].lower() + step.title[1:] for step in todo.steps)


def _queue(facts: Facts) -> list[dict]:
    age, cause = facts.clock - facts.oldest if facts.queued and facts.oldest else 0, blamed(facts.reasons)
    if age < (TRIED_TWICE if cause else OLD_MAIL):
        return []
    mails = "One email waits" if facts.queued == 1 else f"{facts.queued} emails wait"
    state, text = "fail" if age >= STUCK_MAIL else "warn", f"{mails}, the oldest for {spell(age)}."
    if cause:
        return [held_up(cause, state, text)]
    return [finding("queue", state, text, "Send a test email: its result says why the provider does not take them.")]


def held_up(cause: Explanation, state: str = "warn", waits: str = "") -> dict:
    """Mail that waits for one cause. waits: how much of it and how long, where that was counted."""
    because = {"cause": cause.cause, "area": cause.area, "because": cause.slug}
    return finding("queue", state, f"{waits} {cause.cause}".lstrip(), cause.fix, **because)


def blamed(reasons: Iterable[str], preset: str = "") -> Explanation | None:
    """What holds up all mail of a server, and not one recipient's, among the reasons why mail was put off."""
    meanings = (explain(reason, preset) for reason in reasons)
    return next((one for one in meanings if one.exact and one.area not in ("recipient", "none")), None)


def _clock(facts: Facts) -> list[dict]:
    if abs(facts.skew) < CLOCK_OFF:
        return []
    text = f"The server's clock is {spell(abs(facts.skew))} {'fast' if facts.skew > 0 else 'slow'}."
    return [
        finding("clock", "warn", text, "Run `timedatectl set-ntp true` there: certificates and logs need the time.")
    ]


def _disk(facts: Facts) -> list[dict]:
    room = next((space for space in facts.space if space.path == "/var/spool"), None)
    hint = "Free some space there: without room Postfix takes no mail."
    if room is None:
        return []
    if room.free_bytes < LOW_DISK:
        text = f"{room.free_bytes // 1_000_000} MB are free for the mail queue."
        return [finding("disk", "fail" if room.free_bytes < FULL_DISK else "warn", text, hint)]
    if room.free_inodes is not None and room.free_inodes < LOW_INODES:
        return [finding("disk", "warn", f"Only {room.free_inodes} more files fit where the mail queue is.", hint)]
    return []


def spell(seconds: float) -> str:
    """ "3 hours", "12 minutes": the largest unit, rounded down."""
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= length:
            count = int(seconds // length)
            return f"{count} {unit}{'' if count == 1 else 's'}"
    return f"{int(seconds)} seconds"
