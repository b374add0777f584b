"""The test email: sent by the server's own sendmail, followed in its log to its final status."""

from contextlib import suppress
from dataclasses import replace

from gateway import gateways, mailtest, pinpointing, proving, wanted
from gateway.diagnosis.values import Verdict
from gateway.models import Gateway, Smarthost
from gateway.postfix import testmail
from gateway.postfix.spec import Invalid, Relay
from gateway.postfix.testmail import Delivery
from gateway.proof import prove, secrets
from gateway.proof import scene as scenes
from gateway.providers.replies import Explanation, explain
from servers.fields import Unreadable
from servers.jobs.run import Conclusion, Run
from servers.remote import clean
from servers.remote.host import Limits, RemoteError

WAIT = 30  # seconds for a status, once it is the message's turn
PATIENCE = 8  # seconds of silence in the second look
# Said by Postfix of what another look from the server tells apart: a closed port, a stranger on it, a certificate.
_VAGUE = (
    "no-answer-yet",
    "connection-timed-out",
    "port-25-timed-out",
    "connection-refused",
    "network-unreachable",
    "ipv6-unreachable",
    "greeting-timed-out",
    "conversation-timed-out",
    "connection-lost",
    "tls-not-offered",
    "tls-on-plain-port",
    "certificate-not-verified",
)
OUTCOMES = {
    "sent": "The provider accepted the email.",
    "deferred": "The email was not accepted yet; the server keeps trying.",
    "bounced": "The email was refused.",
    "queued": "The email is still waiting in the server's queue.",
}
_SLOW = Verdict(
    "no-answer-yet",
    "The provider talks to this server, and has not taken the message yet.",
    "The server keeps trying: send another test email in some minutes, and ask the provider if that waits too.",
    "provider",
)


def test(run: Run) -> Conclusion:
    """options: {"recipient", "mail": {"sender", "subject", "body", "html"}}; a sender of "" is the account's usual one.
    Succeeded only on the provider's 250 for the message's queue ID."""
    gateway = Gateway.objects.of(run.server)
    if gateway.applied is None:
        return Conclusion(False, "No email gateway is installed.", cause="not-installed", hint="Install it first.")
    sender = run.options.get("mail", {}).get("sender") or mailtest.usual_sender(gateway.applied)
    _hide_sign_in(run, gateway.applied)
    source = gateway.observed.get("log_source") or "journal"
    allowance = wanted.allowance(gateway)
    wait = WAIT + allowance.delay
    try:
        script = _script(run, sender, source, wait)
    except Invalid as error:
        return Conclusion(False, str(error), cause="invalid", hint="Correct the form.")
    with run.step("send", "Send with the server's sendmail and follow its log") as step:
        output = run.connect().run(script, limits=Limits(total=wait + 30, idle=wait + 20))
        # Line by line: what a provider's reply holds must not begin a line of its own.
        delivery = testmail.verdict(clean.line(line) for line in output.stdout.split(b"\n"))
        for line in delivery.evidence:
            step.line(line)
        if delivery.delivery != "sent":
            step.failed()
    turn = f" This server may {allowance.each}, and what waited before goes first." if allowance.delay else ""
    found = _second_look(run, gateway.applied, delivery)
    return _concluded(run, delivery, gateway.applied, turn, found)


def _hide_sign_in(run: Run, smarthost: Smarthost) -> None:
    """A provider may echo what Postfix signs in with, and its words are kept. The server may still use the password
    that was replaced last."""
    with suppress(Invalid, Unreadable):
        relay = wanted.relay(smarthost, 0)
        before = smarthost.previous_password
        for one in (relay, replace(relay, password=before) if before else relay):
            for secret in secrets(one):
                run.mask(secret)


def _script(run: Run, sender: str, log_source: str, wait: int) -> str:
    if not sender:
        raise Invalid("from", "Type the address to send from: nothing tells which one the provider accepts.")
    recipient, mail = run.options.get("recipient", ""), run.options.get("mail", {})
    subject = mail.get("subject") or mailtest.subject(run.server)
    body = mail.get("body") or mailtest.body(run.server)
    message = testmail.message(sender, recipient, subject, body, bool(mail.get("html")), run.job.token.hex)
    return testmail.script(message, sender, recipient, wait=wait, log_source=log_source)


def _second_look(run: Run, smarthost: Smarthost, delivery: Delivery) -> dict:
    """What a diagnosis would say, as `pinpointing.kept`, where Postfix's own words leave open who is to blame; nothing
    where it would see nothing wrong."""
    vague = _meaning(delivery, smarthost).slug
    if delivery.delivery == "sent" or vague not in _VAGUE:
        return {}
    # Whatever becomes of it, what was seen of the message is told.
    with suppress(Invalid, Unreadable, RemoteError):
        return _looked(run, smarthost, wanted.relay(smarthost, 0), vague)
    return {}


def _looked(run: Run, smarthost: Smarthost, relay: Relay, vague: str) -> dict:
    with run.step("look", "Look why it was not handed over") as step:
        host = run.connect()
        seen = scenes.look(host, relay.host)
        proof = prove(
            host,
            relay,
            sender="",
            preset=smarthost.preset,
            on_stage=lambda stage: step.line(proving.line(relay, stage)),
            refuse=proving.refusal(run, smarthost),
            patience=PATIENCE,
            scene=seen,
        )
        found = pinpointing.verdict(run, smarthost, relay, seen, proof, step.line)
    if found is None and vague == _SLOW.slug and proof.proven:
        found = _SLOW
    return pinpointing.kept(relay, found) if found else {}


def _meaning(delivery: Delivery, smarthost: Smarthost) -> Explanation:
    return explain(delivery.reply or "\n".join(delivery.evidence), smarthost.preset)


def _concluded(run: Run, delivery: Delivery, smarthost: Smarthost, turn: str, found: dict) -> Conclusion:
    """turn: why a message may still wait for its own, one sentence or nothing. found: of _second_look."""
    result = {
        "queue_id": delivery.queue_id,
        "delivery": delivery.delivery,
        "reply": delivery.reply,
        "relay": delivery.relay,
        "provider_id": delivery.provider_id,
        "seconds": delivery.seconds,
        "explanation": {},
    }
    kept = run.masked_tree(result)
    if delivery.delivery == "sent":
        gateways.tested(run.server, smarthost, kept, job=run.job)
        return Conclusion(True, OUTCOMES["sent"], result=result)
    meaning = _meaning(delivery, smarthost)
    result["explanation"] = {"slug": meaning.slug, "cause": meaning.cause, "fix": meaning.fix, "area": meaning.area}
    result |= found
    told = result["explanation"]
    gateways.tested(run.server, smarthost, kept, cause=told["slug"], job=run.job)
    ended = OUTCOMES[delivery.delivery] + (turn if delivery.delivery == "queued" else "")
    outcome = f"{ended} {told['cause']} This server sends through {smarthost.host}."
    return Conclusion(False, outcome, cause=told["slug"], hint=told["fix"], result=result)
