"""The shape install, reinstall, uninstall and preview share: look, plan, apply, look again, conclude."""

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from servers.jobs.run import Applied, Conclusion, Run
from servers.remote.host import Host
from servers.remote.plan import Plan

Facts = TypeVar("Facts")
UNTOUCHED = Applied(changed=False)
TRIES = 2  # a run on the server that a reboot or a kill cut short is put back and tried once more


def converge(
    run: Run,
    *,
    observe: Callable[[Host], Facts],
    plan: Callable[[Facts], Plan],
    conclude: Callable[[Facts, Applied], Conclusion],
    before_apply: Callable[[Facts, Plan], Conclusion | None] | None = None,
    verify: Callable[[Facts], Conclusion | None] | None = None,
    failed: Callable[[Applied], Conclusion] | None = None,
) -> Conclusion:
    """Brings the server to what `plan` wants and concludes only after a fresh look found nothing left to do.

    observe: reads only. plan: pure. before_apply: last checks before anything changes (are the credentials right?); a
    Conclusion from it ends the run. verify: checks beyond the plan, after the second look; likewise. failed: explains a
    failed step better than its own last line can. conclude: also called when there was nothing to do, with an Applied
    that changed nothing. The option dry_run stops before the change, with the plan in the result.

    A resumed run first follows what an earlier worker handed over. What was cut short on the server is tried again.
    """
    applied, changed, tries = run.reattach() if run.resumed else None, False, 0
    while applied is None or (not applied.finished and tries < TRIES):
        changed, tries = changed or bool(applied and applied.changed), tries + 1
        facts, todo = _look(run, "observe", "Look at the server", observe, plan)
        if todo.refusals or run.options.get("dry_run"):
            return replace(refused(todo), changed=changed) if todo.refusals else preview(todo)
        stop = before_apply(facts, todo) if before_apply and todo.steps else None
        if stop:
            return stop
        applied = run.apply(todo) if todo.steps else UNTOUCHED
    applied = replace(applied, changed=applied.changed or changed)
    if not applied.finished:
        return cut_short(applied)
    if applied.failed_step:
        return failed(applied) if failed else step_failed(applied)
    if run.handed_over:
        facts, todo = _look(run, "verify", "Look again", observe, plan)
        if not todo.empty:
            return differs(todo, applied)
    stop = verify(facts) if verify else None
    run.lease.renew()  # the service writes down what is in force: not by a worker that slept through its lease
    return stop or _concluded(conclude(facts, applied), applied)


def _look(run: Run, slug: str, title: str, observe, plan) -> tuple[Facts, Plan]:
    with run.step(slug, title) as step:
        facts = observe(run.connect())
        todo = plan(facts)
        for secret in todo.secrets():
            run.mask(secret)
        for note in todo.notes:
            step.line(note)
        return facts, todo


def _concluded(conclusion: Conclusion, applied: Applied) -> Conclusion:
    if applied.changed or not conclusion.succeeded:
        return replace(conclusion, changed=applied.changed)
    return replace(conclusion, changed=False, outcome=f"Nothing to change. {conclusion.outcome}")


def refused(todo: Plan) -> Conclusion:
    first, *more = todo.refusals
    return Conclusion(
        False,
        first.what,
        cause=first.cause,
        hint=first.fix,
        result={"refusals": [{"what": r.what, "fix": r.fix} for r in (first, *more)]},
    )


def preview(todo: Plan) -> Conclusion:
    """What would be done, as a person would type it; secrets are masked by whoever wrote the plan."""
    if todo.empty:
        return Conclusion(True, "Nothing to change.", result={"preview": {"steps": [], "notes": list(todo.notes)}})
    count = f"{len(todo.steps)} step{'s' if len(todo.steps) > 1 else ''}"
    waiting = f"{todo.queued} message{'' if todo.queued == 1 else 's'} in the queue"
    return Conclusion(
        True,
        f"{count}, {'with a restart' if todo.restarts else 'no restart'}, {waiting}. Nothing was changed.",
        result={
            "preview": {
                "steps": [{"slug": s.slug, "title": s.title, "commands": list(s.show)} for s in todo.steps],
                "diffs": dict(todo.diffs),
                "notes": list(todo.notes),
                "restarts": todo.restarts,
                "queued": todo.queued,
            }
        },
    )


def step_failed(applied: Applied) -> Conclusion:
    put_back = "Everything was put back." if applied.rolled_back else "Not everything could be put back."
    return Conclusion(
        False,
        f"“{applied.failed_title}” failed. {put_back}",
        changed=not applied.rolled_back,
        cause=f"step-{applied.failed_step}"[:60],
        hint="The step's last lines say why. Mend that and retry: what is already right is left alone.",
        result={"failed_step": applied.failed_step, "rolled_back": applied.rolled_back, "evidence": applied.tail},
    )


def cut_short(applied: Applied) -> Conclusion:
    return Conclusion(
        False,
        "The work on the server was cut short twice, by a reboot or a kill, and put back.",
        changed=applied.changed,
        cause="cut-short",
        hint="Look at the server's own log for what ended it (memory?), then retry.",
    )


def differs(todo: Plan, applied: Applied) -> Conclusion:
    """Every step ran, and the server is still not as wanted: something undoes our work, or our plan is wrong."""
    left = [refusal.what for refusal in todo.refusals] + [step.title for step in todo.steps]
    return Conclusion(
        False,
        f"The server still differs after every step ran: {'; '.join(left)}",
        changed=applied.changed,
        cause="still-differs",
        hint="Something on the server may change the same files, such as a configuration management tool.",
        result={"left": left, "diffs": dict(todo.diffs)},
    )
