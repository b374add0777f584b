"""The account is proved from the server itself before anything is changed there: a wrong password cannot replace a
working one."""

from collections.abc import Callable

from controlpanel.access.gate import Permission, may
from gateway import pinpointing
from gateway.diagnosis.values import Verdict
from gateway.models import Smarthost
from gateway.postfix.spec import Relay
from gateway.proof import Proof, Stage, prove
from gateway.proof import scene as scenes
from servers.jobs.run import Conclusion, Run
from servers.models import Server
from servers.remote import addresses

PATIENCE = 15  # seconds of silence in the conversation


def stopped(run: Run, smarthost: Smarthost, relay: Relay) -> Conclusion | None:
    """A Conclusion when the provider, or the way to it, says no; None when nothing speaks against the change."""
    with run.step("prove", "Prove the account from this server") as step:
        seen = scenes.look(run.connect(), relay.host)
        proof = prove(
            run.connect(),
            relay,
            sender=relay.probe_address,
            # Many providers judge the sender only when they are told of a recipient; nothing is sent to it.
            recipient=relay.probe_address,
            preset=smarthost.preset,
            on_stage=lambda stage: step.line(line(relay, stage)),
            refuse=refusal(run, smarthost),
            patience=PATIENCE,
            scene=seen,
        )
        for note in proof.notes:
            step.line(note)
        if proof.blocker is None:
            return None
        found = pinpointing.verdict(run, smarthost, relay, seen, proof, step.line)
        step.failed()
    return _refused(proof, proof.blocker, relay, found)


def line(relay: Relay, stage: Stage) -> str:
    """The stage in a job's log."""
    found = stage.evidence
    if (stage.name, stage.state) == ("name", "ok"):  # beside their name, addresses are hidden with it
        found = f"{relay.host} [{found}]"
    return f"{stage.title}: {stage.state}. {found}".strip()


def _refused(proof: Proof, blocker: Stage, relay: Relay, found: Verdict) -> Conclusion:
    stages = [{"title": s.title, "state": s.state, "evidence": s.evidence, "ms": s.ms} for s in proof.stages]
    result = {"proof": {"way": proof.way, "stages": stages, "transcript": list(proof.transcript)}}
    result |= pinpointing.kept(relay, found) | {"evidence": blocker.evidence}
    # What is said to a recipient is mostly about somebody else: the sender, or a missing sign-in.
    failed = "The check" if blocker.name == "rcpt_to" else blocker.title
    outcome = f"{failed} at {relay.host} failed, so nothing was changed: {found.cause}"
    return Conclusion(False, outcome, cause=found.slug, hint=found.fix, result=result)


def refusal(run: Run, smarthost: Smarthost) -> Callable[[str], str | None] | None:
    """Says of an address why it must not be contacted, or None; None where every address may be."""
    by = run.job.batch.asked_by
    may_ask = by is None or may(by, Permission.USE_SHARED)
    return None if may_ask and trusted(smarthost, run.server) else private


def trusted(smarthost: Smarthost, server: Server) -> bool:
    """Values a customer may have typed do not make the server talk to the network it shares with others, whoever asks
    for the job."""
    if smarthost.server_id is None or smarthost.confidential:
        return True
    return all(may(person, Permission.USE_SHARED) for person in server.people.all())


def private(address: str) -> str | None:
    """Why a resolved address must not be contacted, or None. What is no plain address stands for nobody knows what."""
    try:
        public = addresses.is_public(address)
    except ValueError:
        return "This is not an IP address."
    return None if public else "This address is private. An SMTP provider has a public host name."
