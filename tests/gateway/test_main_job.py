"""The main job on real servers, through the panel's own doors: install, send, change, uninstall."""

import json
import threading
from contextlib import contextmanager
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command
from django.urls import reverse

from controlpanel.access.models import AuditEntry
from gateway import gateways, smarthosts
from gateway.models import Gateway
from gateway.values import Values
from servers.jobs import launch, runner
from servers.jobs.models import Batch, Job, JobLine, JobStep
from servers.models import HostKey, Server
from servers.remote.secret import Secret
from tests.factories import HostKeyFactory, ServerFactory, SshKeyFactory

pytestmark = [pytest.mark.fleet, pytest.mark.django_db(transaction=True)]

LOGIN = "relay@example.org"
CANARY = "canary-7f3a #:{/&$'\"\\% é"
SECOND = "canary-second-91cc"
WRONG = "canary-wrong-55d1"


@pytest.fixture
def account(provider):
    provider.add_user(LOGIN, CANARY, ["@example.org"])
    return provider


def enrol(real) -> Server:
    key = SshKeyFactory(private=Secret(real.key.private))
    server = ServerFactory(name=real.fqdn, address=str(real.address), ssh_key=key)
    kind, body = real.host_key.public.split()[:2]
    HostKeyFactory(server=server, kind=kind, body=body, fingerprint=real.fingerprint, state=HostKey.State.PINNED)
    return server


def values(provider, password: str = CANARY, **more) -> Values:
    known = {"host": provider.host, "username": LOGIN, "sending_domain": "example.org"}
    return Values(**known | more, password=Secret(password))


def want(server: Server, new: Values, by) -> None:
    known = Gateway.objects.of(server).wanted
    gateways.want({server: smarthosts.own(server, new, by=by, known=known)}, by=by)


def run(action: str, server: Server, by, **options) -> Job:
    batch = launch.launch(f"gateway.{action}", [server], by=by, options=options)
    return runner.run_here(batch.jobs.get())


def send(server: Server, by, to: str = "somebody@example.net", **mail) -> Job:
    return run("test", server, by, recipient=to, mail=mail)


def told(job: Job) -> str:
    steps = [f"{step.state} {step.title}: {[line.text for line in step.lines.all()]}" for step in job.steps.all()]
    return "\n".join([f"{job.status} ({job.cause}): {job.outcome}", str(job.result), *steps])


def files_with(real, text: str) -> set[str]:
    """Every file of the server that holds `text`, the kernel's own file systems left out."""
    skipped = [f"--exclude-dir={name}" for name in ("proc", "sys", "dev")]
    found = real.run(["grep", "-rlaF", *skipped, "-e", text, "/"], check=False).stdout
    return set(found.split())


@contextmanager
def watched_processes(*secrets: str):
    """Looks at the arguments and environment of every process, those inside the servers included, until the end."""
    seen, over = set(), threading.Event()

    def sample():
        while not over.is_set():
            for entry in Path("/proc").iterdir():
                if entry.name.isdigit():
                    for name in ("cmdline", "environ"):
                        try:
                            content = (entry / name).read_bytes()
                        except OSError:
                            continue
                        seen.update(secret for secret in secrets if secret.encode() in content)

    watcher = threading.Thread(target=sample, daemon=True)
    watcher.start()
    try:
        yield seen
    finally:
        over.set()
        watcher.join()


def panel_texts() -> str:
    """Everything jobs and the audit log keep."""
    kept = [*JobLine.objects.values_list("text"), *Job.objects.values_list("outcome", "hint", "result")]
    kept += [*JobStep.objects.values_list("title"), *Batch.objects.values_list("options")]
    kept += [*AuditEntry.objects.values_list("detail", "subject_name")]
    return json.dumps(kept, default=str)


def test_install_send_and_uninstall(each_server, account, administrator, administrator_client):
    server = enrol(each_server)
    want(server, values(account, root_address="admin@example.org"), administrator)
    with watched_processes(CANARY) as seen:
        installed = run("install", server, administrator)
        assert (installed.status, installed.changed) == ("succeeded", True), told(installed)
        sent = send(server, administrator, subject="the main job", body="works")
    assert seen == set()
    assert sent.status == "succeeded", told(sent)
    (mail,) = account.wait_for_messages(1)
    assert mail["Subject"] == "the main job"
    assert sent.result["delivery"] == "sent"
    assert sent.result["reply"].startswith("250")
    assert sent.result["queue_id"]
    assert account.host in sent.result["relay"]
    assert sent.result["provider_id"] in sent.result["reply"]

    gateway = Gateway.objects.get(server=server)
    assert (gateway.state, gateway.applied, gateway.pending) == ("working", gateway.wanted, False)
    holders = files_with(each_server, CANARY)
    assert {Path(path).name for path in holders} == {"sasl_passwd"}, holders
    assert "canary" not in panel_texts()
    for name, *args in (("servers:services", server.pk), ("jobs:job", installed.pk), ("jobs:job", sent.pk)):
        assert "canary" not in administrator_client.get(reverse(name, args=args)).content.decode()

    again = run("install", server, administrator)
    assert (again.status, again.changed) == ("succeeded", False), told(again)
    assert again.outcome.startswith("Nothing to change")
    assert run("check", server, administrator).status == "succeeded"

    gone = run("uninstall", server, administrator, forget=True)
    assert (gone.status, gone.changed) == ("succeeded", True), told(gone)
    assert not each_server.exists("/usr/sbin/postfix")
    assert files_with(each_server, CANARY) == set()
    gateway = Gateway.objects.get(server=server)
    assert (gateway.state, gateway.applied, gateway.wanted) == ("absent", None, None)


def test_a_wrong_password_leaves_the_working_gateway_alone(server, account, administrator):
    row = enrol(server)
    want(row, values(account), administrator)
    assert run("install", row, administrator).status == "succeeded"
    applied = Gateway.objects.get(server=row).applied

    want(row, values(account, WRONG), administrator)
    failed = run("reinstall", row, administrator)
    assert (failed.status, failed.changed) == ("failed", False), told(failed)
    assert "535" in failed.result["evidence"]
    assert failed.hint
    gateway = Gateway.objects.get(server=row)
    assert (gateway.applied, gateway.state, gateway.pending) == (applied, "working", True)
    assert gateways.state_of(gateway).word == "working"
    assert files_with(server, WRONG) == set()
    assert send(row, administrator).status == "succeeded"

    account.add_user(LOGIN, SECOND, ["@example.org"])
    want(row, values(account, SECOND), administrator)
    changed = run("reinstall", row, administrator)
    assert (changed.status, changed.changed) == ("succeeded", True), told(changed)
    assert send(row, administrator).status == "succeeded"
    assert {Path(path).name for path in files_with(server, SECOND)} == {"sasl_passwd"}
    assert files_with(server, CANARY) == set(), "the superseded password is gone"
    assert not Gateway.objects.get(server=row).pending


def test_a_mail_server_gets_its_own_configuration_back(server, account, administrator):
    server.install("postfix")
    server.run("postconf -e 'mydestination = shop.example, localhost' 'message_size_limit = 12345678' 'relayhost ='")
    server.run("printf '# kept by hand\\n' >>/etc/postfix/main.cf; systemctl start postfix")
    before = {path: server.read_file(path) for path in ("/etc/postfix/main.cf", "/etc/postfix/master.cf")}
    row = enrol(server)
    want(row, values(account), administrator)
    assert run("install", row, administrator).status == "succeeded"
    assert "mydestination = shop.example" in server.run(["postconf", "mydestination"]).stdout
    assert send(row, administrator).status == "succeeded"
    gone = run("uninstall", row, administrator)
    assert gone.status == "succeeded", told(gone)
    assert {path: server.read_file(path) for path in before} == before


def test_another_mail_system_needs_consent(server, account, administrator, administrator_client):
    server.install("exim4-daemon-light")
    row = enrol(server)
    want(row, values(account), administrator)
    refused = run("install", row, administrator)
    assert (refused.status, refused.cause, refused.changed) == ("failed", "other-mta", False), told(refused)
    assert server.exists("/usr/sbin/exim4")
    page = administrator_client.get(reverse("servers:services", args=[row.pk])).content.decode()
    assert 'name="replace_mta"' in page
    assert "exim4" in page
    assert run("install", row, administrator, replace_mta=True).status == "succeeded"
    assert send(row, administrator).status == "succeeded"


def test_a_refusal_is_explained_and_is_not_accepted(server, account, administrator):
    row = enrol(server)
    want(row, values(account), administrator)
    assert run("install", row, administrator).status == "succeeded"
    unknown = send(row, administrator, to="unknown@example.net")
    assert (unknown.status, unknown.result["delivery"]) == ("failed", "bounced"), told(unknown)
    assert "550" in unknown.result["reply"]
    assert unknown.result["explanation"]["cause"]
    later = send(row, administrator, to="later@example.net")
    assert (later.status, later.result["delivery"]) == ("failed", "deferred"), told(later)
    stranger = send(row, administrator, sender="stranger@elsewhere.example")
    assert stranger.status == "failed", told(stranger)
    assert account.messages() == []


def test_local_senders_get_the_sending_domain(server, account, administrator):
    row = enrol(server)
    want(row, values(account, root_address="boss@example.org"), administrator)
    assert run("install", row, administrator).status == "succeeded"
    server.run("printf 'Subject: cron\\n\\nhello\\n' | sendmail root")
    (mail,) = account.wait_for_messages(1)
    assert mail["Delivered-To"] == "boss@example.org"
    assert "@example.org" in mail["From"]


def test_a_change_by_hand_is_found_and_put_right(server, account, administrator):
    row = enrol(server)
    want(row, values(account), administrator)
    assert run("install", row, administrator).status == "succeeded"
    server.run("postconf -e 'relayhost = [elsewhere.example]:587' 'message_size_limit = 12345678'; postfix reload")
    found = run("check", row, administrator)
    assert (found.status, found.cause, found.changed) == ("failed", "drift", False), told(found)
    assert gateways.states([row])[row.pk].word == "needs-you"
    assert run("reinstall", row, administrator).changed
    assert gateways.states([row])[row.pk].word == "working"
    assert "12345678" in server.run(["postconf", "-h", "message_size_limit"]).stdout, "what is not ours stays"
    gateways.begin(row)  # as if the panel had been lost right after it handed a change over
    assert gateways.states([row])[row.pk].word == "unknown"
    assert run("check", row, administrator).status == "succeeded"
    assert gateways.states([row])[row.pk].word == "working"


def test_the_command_line_does_the_whole_job(server, account, administrator, monkeypatch):
    row = enrol(server)
    monkeypatch.setattr("sys.stdin", StringIO(CANARY + "\n"))
    command("smarthost", "add", "main", "--host", account.host, "--username", LOGIN, "--password-stdin", "--default")
    code, document = command("gateway", "install", row.name, "--here", "--json")
    assert code == 0, document
    assert json.loads(document)["counts"] == {"succeeded": 1}
    code, document = command("gateway", "test", row.name, "--from", LOGIN, "--to", "b@example.net", "--here", "--json")
    (job,) = json.loads(document)["jobs"]
    assert (code, job["status"], job["result"]["delivery"]) == (0, "succeeded", "sent")
    code, document = command("gateway", "test", row.name, "--to", "unknown@example.net", "--here", "--json")
    assert (code, json.loads(document)["jobs"][0]["result"]["delivery"]) == (1, "bounced")
    code, printed = command("gateway", "preview", row.name, "--here")
    assert (code, "Nothing to change" in printed) == (0, True)
    code, document = command("gateway", "status", row.name, "--json")
    assert json.loads(document)["servers"][0]["state"] == "working"
    assert command("gateway", "uninstall", row.name, "--here", "--purge-queue")[0] == 0


def command(*argv: str) -> tuple[int, str]:
    out = StringIO()
    try:
        call_command(*argv, stdout=out, stderr=StringIO())
    except SystemExit as leaving:
        return leaving.code, out.getvalue()
    return 0, out.getvalue()
