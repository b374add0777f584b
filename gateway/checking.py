"""Compares a server with what the panel believes about its gateway, and records the truth."""

from gateway import gateways, looking, wanted
from gateway.actions import with_relay
from gateway.models import Gateway, Smarthost
from gateway.postfix.facts import Facts
from gateway.postfix.plan import plan
from gateway.postfix.spec import Relay, Wanted
from servers.jobs.converge import preview
from servers.jobs.models import Job
from servers.jobs.run import Conclusion, Run
from servers.remote.plan import Plan


def check(run: Run) -> Conclusion:
    """Reads only. The server is as it was installed, or as a change left it whose end nobody saw, or without a
    gateway, or changed by somebody else; only the last is a failure."""
    if Job.objects.live().filter(server=run.server, mutating=True).exists():
        return Conclusion(
            False, "Another job is changing this server.", cause="busy", hint="Check when it has finished."
        )
    gateway = Gateway.objects.of(run.server)
    with run.step("observe", "Look at the server"):
        facts = looking.observe(run.connect())
    rows = dict.fromkeys(row for row in (gateway.applied, gateway.wanted) if row is not None)
    found = None
    for row in rows:
        compared = with_relay(run, row, lambda relay, row=row: _compared(run, gateway, row, relay, facts))
        if compared.succeeded:
            return compared
        found = found or compared
    if gateway.applied is None and plan(facts, Wanted(relay=None), wanted.digest_key(run.server)).empty:
        gateways.removed(run.server, looking.seen(facts), forget=False)
        return Conclusion(True, "No email gateway is installed.")
    conclusion = found or _drifted(plan(facts, Wanted(relay=None), wanted.digest_key(run.server)))
    (gateways.drifted if conclusion.cause == "drift" else gateways.broken)(run.server, conclusion.outcome)
    return conclusion


def _compared(run: Run, gateway: Gateway, row: Smarthost, relay: Relay, facts: Facts) -> Conclusion:
    todo, seen = plan(facts, Wanted(relay=relay), wanted.digest_key(run.server)), looking.seen(facts)
    # The older values are gone, so only the name of the tables in force can tell that they are still those.
    older = row == gateway.applied and gateway.applied_revision != row.revision and not todo.empty
    outdated = older and seen.generation == gateway.generation and facts.running
    if not todo.empty and not outdated:
        return _drifted(todo)
    gateways.proved(run.server, row, gateway.applied_revision if outdated else row.revision, seen)
    newer = " The provider's values were changed since: reinstall to use them." if outdated else ""
    return Conclusion(True, f"The email gateway is as it was installed.{newer}", result={"queued": facts.queued})


def _drifted(todo: Plan) -> Conclusion:
    steps = "one step" if len(todo.steps) == 1 else f"{len(todo.steps)} steps"
    found = " ".join(refusal.what for refusal in todo.refusals) or f"It takes {steps} to put it right."
    return Conclusion(
        False,
        f"The server is no longer as it was installed. {found}",
        cause="drift",
        hint="Preview the changes, then reinstall.",
        result=preview(todo).result,
    )
