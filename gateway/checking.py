"""Compares a server with what the panel believes about its gateway, and records the truth."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from django.utils import timezone

from gateway import acceptance, alarms, drift, gateways, looking, wanted
from gateway.models import Gateway, Smarthost
from gateway.postfix.facts import Facts
from gateway.postfix.plan import plan
from gateway.postfix.spec import Invalid, Relay, Wanted
from gateway.trying import Tried
from servers.fields import Unreadable
from servers.jobs.converge import preview
from servers.jobs.models import Job
from servers.jobs.run import Conclusion, Run
from servers.models import Server
from servers.remote.plan import Plan
from servers.remote.secret import Secret

IN_FORCE = ("installed", "outdated", "older-panel")


@dataclass(frozen=True)
class Judged:
    """word: installed | outdated (earlier values of `row`) | older-panel (as an earlier panel wrote it) | absent |
    stopped | drifted | invalid, unreadable (the stored values, not the server). text: one sentence. share: among how
    many servers the limits of `row` are divided in the main.cf that was found."""

    word: str
    text: str
    todo: Plan = field(default_factory=Plan)
    row: Smarthost | None = None
    revision: int = 0
    share: int = 0
    findings: tuple[dict, ...] = ()
    changes: dict[str, list[str | None]] = field(default_factory=dict)
    hint: str = ""
    relay: Relay | None = None  # what the server runs on, where that is the row as it is now


def check(run: Run) -> Conclusion:
    """Reads only. The server is as it was installed, or as a change left it whose end nobody saw, or without a
    gateway, or changed by somebody else; only the last is a failure."""
    if Job.objects.live().filter(server=run.server, mutating=True).exists():
        return Conclusion(
            False, "Another job is changing this server.", cause="busy", hint="Check when it has finished."
        )
    with run.step("observe", "Look at the server"):
        facts = looking.observe(run.connect())
    judged = judge(Gateway.objects.of(run.server), facts, mask=run.mask)
    refused = record(run.server, judged, facts, masked=run.masked)
    if judged.word in IN_FORCE and refused:
        return _refused(judged, refused)
    if judged.word in IN_FORCE:
        return Conclusion(True, judged.text, result={"queued": facts.queued})
    if judged.word == "absent":
        return Conclusion(True, judged.text)
    cause = judged.word if judged.word in ("invalid", "unreadable") else "drift"
    result = preview(judged.todo).result if cause == "drift" else {}
    return Conclusion(False, judged.text, cause=cause, hint=judged.hint, result=result)


def _refused(judged: Judged, finding: dict) -> Conclusion:
    """As it was installed, and no good all the same."""
    slug, cause, fix = finding["slug"], finding["text"], finding["hint"]
    told = {"explanation": {"slug": slug, "cause": cause, "fix": fix, "area": finding.get("area", "none")}}
    return Conclusion(False, f"{judged.text} {cause}", cause=slug, hint=fix, result=told)


def judge(gateway: Gateway, facts: Facts, mask: Callable[[Secret | None], None]) -> Judged:
    """`mask` gets every password the comparison uses. Touches neither the server nor the panel's rows."""
    found = None
    for row, share in _possible(gateway):
        try:
            relay = wanted.relay(row, share)
        except Invalid as error:
            judged = Judged("invalid", f"These values cannot be used: {error}", hint="Correct the form.")
        except Unreadable as error:
            judged = Judged("unreadable", f"The stored password does not open: {error}", hint=error.hint)
        else:
            mask(relay.password)
            judged = replace(_compared(gateway, row, relay, facts), share=share)
        if judged.word == "installed":
            return judged
        if found is None or (judged.word in IN_FORCE and found.word not in IN_FORCE):
            found = judged
    if found is not None and found.word in IN_FORCE:
        return found
    nothing = plan(facts, Wanted(relay=None), wanted.digest_key(gateway.server))
    if gateway.applied is None and nothing.empty:
        return Judged("absent", "No email gateway is installed.")
    return found or _drifted(facts, nothing)


def record(
    server: Server,
    judged: Judged,
    facts: Facts,
    *,
    masked: Callable[[str], str],
    when: datetime | None = None,
    tried: Tried | None = None,
) -> dict | None:
    """when: the end of the observation, if it is not now. tried: what a try of the account told; without one, what an
    earlier one told stands. Returns the finding that turns the state of a gateway that is as it was installed."""
    account, until = _account(server, judged, tried) if judged.word != "absent" else ([], None)
    refused = acceptance.confirmed(account)
    if judged.word in IN_FORCE:
        failing, seen = masked(refused["text"]) if refused else "", looking.seen(facts)
        gateways.proved(server, judged.row, judged.revision, seen, share=judged.share, failing=failing)
    elif judged.word == "absent":
        gateways.removed(server, looking.seen(facts), forget=False)
    elif judged.word == "drifted":
        gateways.drifted(server, masked(judged.text))
    else:
        gateways.broken(server, masked(judged.text))
    around = drift.conditions(facts) if judged.word != "absent" else []
    findings = [*judged.findings, *around, *account]
    findings = [{name: masked(text) for name, text in found.items()} for found in findings]
    diffs = {}
    if judged.word not in IN_FORCE:
        diffs = {path: masked(text) for path, text in judged.todo.diffs.items()}
        if judged.changes:
            diffs[drift.CHANGES] = {name: [v and masked(v) for v in pair] for name, pair in judged.changes.items()}
    oldest = datetime.fromtimestamp(facts.oldest, UTC) if facts.queued and facts.oldest else None
    told = {"queued": facts.queued, "oldest_at": oldest, "certificate_until": until}
    gateways.looked(server, findings, diffs=diffs, **told, when=when)
    alarms.around(server, findings)
    return refused


def _account(server: Server, judged: Judged, tried: Tried | None) -> tuple[list[dict], datetime | None]:
    """What is known of the account, and its certificate's end: from this try, or from the last one while the server ran
    on the same values."""
    if tried is not None:
        found, until = tried.findings, tried.until
    else:
        row = Gateway.objects.of(server)
        if judged.row and not row.runs_on(judged.row, judged.revision):
            return [], None
        found, until = acceptance.lasting(row.problems), row.certificate_until
    ends = acceptance.certificate(until, timezone.now())
    return [*found, *(one for one in ends if one["slug"] not in {other["slug"] for other in found})], until


def _possible(gateway: Gateway) -> Iterator[tuple[Smarthost, int]]:
    """Rows and shares the server may run on, the proved one first. A server whose share is of an earlier count of
    servers is as it was installed; the present one may be there where nobody saw how a change ended."""
    if gateway.applied is not None:
        yield gateway.applied, gateway.applied_share
    for row in dict.fromkeys(row for row in (gateway.applied, gateway.wanted) if row is not None):
        share = wanted.share(row)
        if (row, share) != (gateway.applied, gateway.applied_share):
            yield row, share


def _compared(gateway: Gateway, row: Smarthost, relay: Relay, facts: Facts) -> Judged:
    asked, seen = Wanted(relay=relay, kept=wanted.kept(gateway)), looking.seen(facts)
    todo = plan(facts, asked, wanted.digest_key(gateway.server))
    as_before = seen.generation == gateway.generation and facts.running
    # The older values are gone, so only the name of the tables in force can tell that they are still those.
    older = row == gateway.applied and gateway.applied_revision != row.revision and not todo.empty
    good = "The email gateway is as it was installed."
    if older and as_before:
        newer = f"{good} The provider's values were changed since: reinstall to use them."
        return Judged("outdated", newer, todo, row, gateway.applied_revision)
    if row == gateway.applied and as_before and drift.panel_changed(facts, todo):
        told = f"This version of the panel {drift.newly(todo)} differently."
        findings = (drift.finding("newer-panel", "warn", told, "Reinstall when it suits; mail goes on as before."),)
        now = relay if gateway.applied_revision == row.revision else None
        return Judged("older-panel", f"{good} {told}", todo, row, gateway.applied_revision, findings, relay=now)
    if todo.empty or drift.unrecorded(facts, todo):
        return Judged("installed", good, todo, row, row.revision, relay=relay)
    return _drifted(facts, todo)


def _drifted(facts: Facts, todo: Plan) -> Judged:
    findings = tuple(drift.differences(facts, todo))
    told = " ".join(found["text"] for found in findings)
    return Judged(
        "stopped" if drift.stopped(facts) else "drifted",
        f"The server is no longer as it was installed. {told}".strip(),
        todo,
        findings=findings,
        changes=drift.changes(facts, todo),
        hint="Look at what differs, then keep it or reinstall.",
    )
