"""What can be asked of an email gateway. Each action runs on a worker and returns how it ended."""

from dataclasses import replace

from gateway import gateways, looking, proving, wanted
from gateway.models import Gateway, Smarthost
from gateway.postfix.facts import Facts
from gateway.postfix.plan import plan
from gateway.postfix.spec import Invalid, Wanted
from gateway.providers.replies import explain
from servers.fields import Unreadable
from servers.jobs.converge import converge, refused, step_failed
from servers.jobs.converge import preview as shown
from servers.jobs.run import Applied, Conclusion, Run
from servers.remote.plan import Plan


def install(run: Run) -> Conclusion:
    """Install and reinstall: only what differs is changed, and only after the account was proved from this server.

    options: replace_mta (consent to remove another mail system), dry_run.
    """
    smarthost = Gateway.objects.of(run.server).wanted
    if smarthost is None:
        return _nothing_wanted()
    return _with_relay(run, smarthost, lambda relay: _install(run, smarthost, relay))


def _install(run: Run, smarthost: Smarthost, relay) -> Conclusion:
    asked = Wanted(relay=relay, replace_mta=bool(run.options.get("replace_mta")))
    revision, key = smarthost.revision, wanted.digest_key(run.server)

    def before_apply(facts: Facts, todo: Plan) -> Conclusion | None:
        return proving.stopped(run, smarthost, relay) or gateways.begin(run.server)

    def conclude(facts: Facts, applied: Applied) -> Conclusion:
        gateways.proved(run.server, smarthost, revision, looking.seen(facts))
        return Conclusion(True, "The email gateway is in force and checked.", result={"queued": facts.queued})

    return _settle(
        run,
        converge(
            run,
            observe=looking.observe,
            plan=lambda facts: plan(facts, asked, key),
            before_apply=before_apply,
            failed=lambda applied: _explained(applied, smarthost.preset),
            conclude=conclude,
        ),
    )


def uninstall(run: Run) -> Conclusion:
    """Puts back what was there before the gateway. options: forget (the stored values), purge_queue (lose mail that
    waits where Postfix itself is removed), dry_run."""
    asked = Wanted(relay=None, purge_queue=bool(run.options.get("purge_queue")))
    key = wanted.digest_key(run.server)

    def conclude(facts: Facts, applied: Applied) -> Conclusion:
        gateways.removed(run.server, looking.seen(facts), forget=bool(run.options.get("forget")))
        return Conclusion(True, "The email gateway is gone and what was there before is back.")

    return _settle(
        run,
        converge(
            run,
            observe=looking.observe,
            plan=lambda facts: plan(facts, asked, key),
            before_apply=lambda facts, todo: gateways.begin(run.server),
            conclude=conclude,
        ),
    )


def preview(run: Run) -> Conclusion:
    """The plan and nothing else. options: smarthost (id; default: what is wanted), replace_mta."""
    asked_for = run.options.get("smarthost")
    rows = Smarthost.objects.filter(pk=asked_for) if asked_for else Smarthost.objects.filter(wanted_by=run.server.pk)
    smarthost = rows.first()
    if smarthost is None:
        return _nothing_wanted()
    return _with_relay(run, smarthost, lambda relay: _preview(run, relay))


def _preview(run: Run, relay) -> Conclusion:
    run.mask(relay.password)
    with run.step("observe", "Look at the server"):
        facts = looking.observe(run.connect())
        asked = Wanted(relay=relay, replace_mta=bool(run.options.get("replace_mta")))
        todo = plan(facts, asked, wanted.digest_key(run.server))
    return refused(todo) if todo.refusals else shown(todo)


def check(run: Run) -> Conclusion:
    """Whether the server still is as the last install left it."""
    gateway = Gateway.objects.of(run.server)
    if gateway.applied is None:
        return Conclusion(False, "No email gateway is installed.", cause="not-installed", hint="Install it first.")
    return _with_relay(run, gateway.applied, lambda relay: _check(run, gateway, relay))


def _check(run: Run, gateway: Gateway, relay) -> Conclusion:
    run.mask(relay.password)
    with run.step("observe", "Look at the server"):
        facts = looking.observe(run.connect())
        todo = plan(facts, Wanted(relay=relay), wanted.digest_key(run.server))
    seen = looking.seen(facts)
    outdated = gateway.applied.revision != gateway.applied_revision and seen.generation == gateway.generation
    if todo.empty or (outdated and facts.running):
        gateways.proved(run.server, gateway.applied, gateway.applied_revision, seen)
        newer = " The provider's values were changed since: reinstall to use them." if outdated else ""
        return Conclusion(True, f"The email gateway is as it was installed.{newer}", result={"queued": facts.queued})
    found = [r.what for r in todo.refusals] or [step.title for step in todo.steps]
    reason = f"The server is no longer as it was installed: {'; '.join(found)}."
    gateways.broken(run.server, reason)
    return Conclusion(
        False,
        reason,
        cause="drift",
        hint="Preview the changes, then reinstall to put them right.",
        result=shown(todo).result,
    )


def _with_relay(run: Run, smarthost: Smarthost, then) -> Conclusion:
    try:
        relay = wanted.relay(smarthost)
    except Invalid as error:
        return Conclusion(False, f"These values cannot be used: {error}", cause="invalid", hint="Correct the form.")
    except Unreadable as error:
        return Conclusion(False, f"The stored password does not open: {error}", cause="unreadable", hint=error.hint)
    run.mask(relay.password)
    return then(relay)


def _nothing_wanted() -> Conclusion:
    error = gateways.NothingWanted()
    return Conclusion(False, (error.__doc__ or "").strip(), cause="nothing-wanted", hint=error.hint)


def _explained(applied: Applied, preset: str) -> Conclusion:
    """A failed probe in the provider's own words; any other step as it says itself."""
    conclusion, meaning = step_failed(applied), explain(applied.tail, preset)
    if not meaning.exact:
        return conclusion
    told = {"explanation": {"slug": meaning.slug, "cause": meaning.cause, "fix": meaning.fix, "area": meaning.area}}
    outcome = f"{conclusion.outcome} {meaning.cause}"
    return replace(conclusion, outcome=outcome, hint=meaning.fix, cause=meaning.slug, result=conclusion.result | told)


def _settle(run: Run, conclusion: Conclusion) -> Conclusion:
    """After a failed change the panel says what is in force: the old, or that a person must look."""
    if not conclusion.succeeded:
        if conclusion.changed:
            gateways.broken(run.server, conclusion.outcome)
        elif run.handed_over:
            gateways.put_back(run.server)
    return conclusion
