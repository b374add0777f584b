"""What can be asked of an email gateway. Each action runs on a worker and returns how it ended."""

from collections.abc import Callable
from dataclasses import replace

from gateway import gateways, looking, proving, wanted
from gateway.models import Gateway, Smarthost
from gateway.postfix.facts import Facts
from gateway.postfix.plan import plan
from gateway.postfix.spec import Invalid, Relay, Wanted
from gateway.proof import secrets
from gateway.providers.replies import explain
from servers.fields import Unreadable
from servers.jobs.converge import converge, refused, step_failed
from servers.jobs.converge import preview as shown
from servers.jobs.lease import LeaseLost
from servers.jobs.run import Applied, Cancelled, Conclusion, Run
from servers.models import Server
from servers.remote.host import RemoteError
from servers.remote.plan import Plan


def install(run: Run) -> Conclusion:
    """Install and reinstall: only what differs is changed, and only after the account was proved from this server.

    options: replace_mta (consent to remove another mail system), dry_run.
    """
    return _recorded(run, _install, installing=True)


def _install(run: Run) -> Conclusion:
    smarthost = Gateway.objects.of(run.server).wanted
    if smarthost is None:
        return nothing_wanted()
    share = wanted.share(smarthost)
    return with_relay(run, smarthost, share, lambda relay: _relayed(run, smarthost, share, relay))


def _relayed(run: Run, smarthost: Smarthost, share: int, relay: Relay) -> Conclusion:
    asked = _wish(run, relay)
    revision, key = smarthost.revision, wanted.digest_key(run.server)

    def before_apply(facts: Facts, todo: Plan) -> Conclusion | None:
        return proving.stopped(run, smarthost, relay) or gateways.begin(run.server)

    def conclude(facts: Facts, applied: Applied) -> Conclusion:
        gateways.proved(run.server, smarthost, revision, looking.seen(facts), share=share)
        return Conclusion(True, "The email gateway is in force and checked.", result={"queued": facts.queued})

    return converge(
        run,
        observe=looking.observe,
        plan=lambda facts: plan(facts, asked, key),
        before_apply=before_apply,
        failed=lambda applied: _explained(applied, smarthost.preset),
        conclude=conclude,
    )


def uninstall(run: Run) -> Conclusion:
    """Puts back what was there before the gateway. options: forget (the stored values), purge_queue (lose mail that
    waits where Postfix itself is removed), dry_run."""
    return _recorded(run, _uninstall)


def _uninstall(run: Run) -> Conclusion:
    kept = wanted.kept(Gateway.objects.of(run.server))
    asked = Wanted(relay=None, purge_queue=bool(run.options.get("purge_queue")), kept=kept)
    key = wanted.digest_key(run.server)

    def conclude(facts: Facts, applied: Applied) -> Conclusion:
        gateways.removed(run.server, looking.seen(facts), forget=bool(run.options.get("forget")))
        return Conclusion(True, "The email gateway is gone and what was there before is back.")

    return converge(
        run,
        observe=looking.observe,
        plan=lambda facts: plan(facts, asked, key),
        before_apply=lambda facts, todo: gateways.begin(run.server),
        conclude=conclude,
    )


def preview(run: Run) -> Conclusion:
    """The plan and nothing else. options: smarthost (id; else what is wanted, else the default), replace_mta."""
    if asked_for := run.options.get("smarthost"):
        smarthost = Smarthost.objects.filter(pk=asked_for).first()
    else:
        smarthost = Gateway.objects.of(run.server).wanted or Smarthost.objects.default()
    if smarthost is None:
        return nothing_wanted()
    share = wanted.fair(smarthost, joining=Server.objects.filter(jobs__batch=run.job.batch))
    return with_relay(run, smarthost, share.divisor, lambda relay: _preview(run, relay, share.each))


def _preview(run: Run, relay: Relay, may: str) -> Conclusion:
    """may: what the account's limits leave for this server."""
    with run.step("observe", "Look at the server"):
        facts = looking.observe(run.connect())
        todo = plan(facts, _wish(run, relay), wanted.digest_key(run.server))
    if may:
        todo = replace(todo, notes=(*todo.notes, f"The account's limits: this server may {may}."))
    return refused(todo) if todo.refusals else shown(todo)


def _wish(run: Run, relay: Relay) -> Wanted:
    kept = wanted.kept(Gateway.objects.of(run.server))
    return Wanted(relay=relay, replace_mta=bool(run.options.get("replace_mta")), kept=kept)


def with_relay(run: Run, smarthost: Smarthost, share: int, then: Callable[[Relay], Conclusion]) -> Conclusion:
    """`then` with the row's values as Postfix understands them, its password masked from here on. share: as in
    wanted.relay."""
    try:
        relay = wanted.relay(smarthost, share)
    except Invalid as error:
        return Conclusion(False, f"These values cannot be used: {error}", cause="invalid", hint="Correct the form.")
    except Unreadable as error:
        return Conclusion(False, f"The stored password does not open: {error}", cause="unreadable", hint=error.hint)
    for secret in secrets(relay):
        run.mask(secret)
    return then(relay)


def nothing_wanted() -> Conclusion:
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


def _recorded(run: Run, work: Callable[[Run], Conclusion], *, installing: bool = False) -> Conclusion:
    """Works, and after a failure records what is in force: what was there before, or that a person must look."""
    if run.options.get("dry_run"):
        return work(run)
    try:
        conclusion = work(run)
    except LeaseLost:
        raise  # another worker has this job, and its word counts
    except Exception as error:
        if not run.handed_over:
            blamed = installing and not isinstance(error, Cancelled)
            told = str(error) if isinstance(error, RemoteError) else "The panel broke while it installed the gateway."
            gateways.put_back(run.server, run.masked(told) if blamed else "")
        raise
    outcome = run.masked(conclusion.outcome)
    if not conclusion.succeeded and conclusion.changed:
        gateways.broken(run.server, outcome)
    elif not conclusion.succeeded:
        gateways.put_back(run.server, outcome if installing else "")
    return conclusion
