"""The account is proved from the server itself before anything is changed there: a wrong password cannot replace a
working one."""

from collections.abc import Callable

from django.core.exceptions import ValidationError

from controlpanel.access.gate import Permission, may
from gateway import validators
from gateway.models import Smarthost
from gateway.postfix.spec import Relay
from gateway.proof import Proof, Stage, prove
from servers.jobs.run import Conclusion, Run

PATIENCE = 15  # seconds of silence in the conversation


def stopped(run: Run, smarthost: Smarthost, relay: Relay) -> Conclusion | None:
    """A Conclusion when the provider, or the way to it, says no; None when nothing speaks against the change."""
    with run.step("prove", "Prove the account from this server") as step:

        def told(stage: Stage) -> None:
            found = stage.evidence
            if (stage.name, stage.state) == ("name", "ok"):  # beside their name, addresses are hidden with it
                found = f"{relay.host} [{found}]"
            step.line(f"{stage.title}: {stage.state}. {found}".strip())

        proof = prove(
            run.connect(),
            relay,
            sender=relay.probe_address,
            preset=smarthost.preset,
            on_stage=told,
            refuse=refusal(run, smarthost),
            patience=PATIENCE,
        )
        for note in proof.notes:
            step.line(note)
        if proof.blocker is None:
            return None
        step.failed()
    return _refused(proof, proof.blocker, relay.host)


def _refused(proof: Proof, blocker: Stage, host: str) -> Conclusion:
    meaning = blocker.explanation
    stages = [{"title": s.title, "state": s.state, "evidence": s.evidence, "ms": s.ms} for s in proof.stages]
    result = {"proof": {"way": proof.way, "stages": stages, "transcript": list(proof.transcript)}}
    said = meaning.cause if meaning else blocker.evidence
    outcome = f"{blocker.title} at {host} failed, so nothing was changed: {said}"
    if meaning is None:
        return Conclusion(False, outcome, cause=f"proof-{blocker.name}", result=result)
    result["explanation"] = {"slug": meaning.slug, "cause": meaning.cause, "fix": meaning.fix, "area": meaning.area}
    return Conclusion(
        False, outcome, cause=meaning.slug, hint=meaning.fix, result=result | {"evidence": blocker.evidence}
    )


def refusal(run: Run, smarthost: Smarthost) -> Callable[[str], str | None] | None:
    """Says of an address why it must not be contacted, or None; None where every address may be."""
    return None if _trusted(run, smarthost) else private


def _trusted(run: Run, smarthost: Smarthost) -> bool:
    """Values a customer typed may not make the server talk to the network it shares with others."""
    if smarthost.server_id is None or smarthost.confidential:
        return True
    by = run.job.batch.asked_by
    return by is None or may(by, Permission.USE_SHARED)


def private(address: str) -> str | None:
    try:
        validators.public_host(address)
    except ValidationError as error:
        return error.messages[0]
    return None
