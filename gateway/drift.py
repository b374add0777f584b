"""What a look at an installed gateway found. Pure. A finding: {"slug", "state": warn | fail | unknown, "text", "hint"},
and "cause" where a sentence without counts says what is behind it. The texts name parameters and never their values,
which only some people may read."""

import re

from gateway.postfix import manifest, paths
from gateway.postfix.facts import Facts
from gateway.providers.replies import Explanation, explain
from servers.remote.plan import Plan

NAMED = 5  # parameters; the rest is counted
OLD_MAIL, STUCK_MAIL = 3600, 24 * 3600  # seconds
TRIED_TWICE = 300  # seconds; Postfix's first pause, so what waits longer for one cause is no hiccup
CLOCK_OFF = 120  # seconds; the way to the server and back is in it
LOW_DISK, FULL_DISK, LOW_INODES = 500_000_000, 50_000_000, 2000
REAPPLY = "Look at the differences, then reapply our settings or change the form."
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
    """main.cf is as we wrote it and Postfix runs on it; only this version of the panel would write it differently."""
    record = manifest.read(facts)
    return bool(
        todo.diffs
        and record
        and record.written
        and facts.main_cf_digest == record.written[0]
        and facts.running
        and facts.enabled
        and not {step.slug for step in todo.steps} & {"packages", "maps"}
    )


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
        return [finding("tables", "fail", "The tables with the sign-in were changed.", REAPPLY)]
    if there != {record.generation}:
        return [finding("tables", "warn", "There are tables the panel did not write.", REAPPLY)]
    return []


def _titles(todo: Plan) -> str:
    return ", ".join(step.title[:1].lower() + step.title[1:] for step in todo.steps)


def _queue(facts: Facts) -> list[dict]:
    age, blamed = facts.clock - facts.oldest if facts.queued and facts.oldest else 0, _blamed(facts)
    if age < (TRIED_TWICE if blamed else OLD_MAIL):
        return []
    mails = "One email waits" if facts.queued == 1 else f"{facts.queued} emails wait"
    state, text = "fail" if age >= STUCK_MAIL else "warn", f"{mails}, the oldest for {spell(age)}."
    if blamed:
        return [finding("queue", state, f"{text} {blamed.cause}", blamed.fix, cause=blamed.cause, area=blamed.area)]
    return [finding("queue", state, text, "Send a test email: its result says why the provider does not take them.")]


def _blamed(facts: Facts) -> Explanation | None:
    """What holds up all mail of this server, and not one recipient's."""
    meanings = (explain(reason) for reason in facts.reasons)
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
