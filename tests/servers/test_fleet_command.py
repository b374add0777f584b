import json
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from controlpanel.access.models import AuditEntry
from servers.jobs import pauses
from servers.jobs.models import Batch
from servers.models import Server
from servers.remote import keypair
from servers.remote.secret import Secret
from tests import factories
from tests.servers import naughty

pytestmark = pytest.mark.django_db


def fleet(*arguments, typed: str | None = None, monkeypatch=None) -> tuple[int, str]:
    out = StringIO()
    if typed is not None:
        monkeypatch.setattr("sys.stdin", StringIO(typed))
    try:
        call_command("fleet", *arguments, stdout=out, stderr=out)
    except SystemExit as ended:
        return ended.code, out.getvalue()
    except CommandError as error:
        return error.returncode, f"{out.getvalue()}{error}"
    return 0, out.getvalue()


def test_add_says_what_to_do_next():
    code, text = fleet("add", "web-1", "10.0.0.1", "--tag", "web", "--tag", "eu", "--note", "hello")
    server = Server.objects.get()
    assert code == 0
    assert "authorized_keys" in text
    assert "fleet check web-1 --wait" in text
    assert (server.port, server.user, [tag.name for tag in server.tags.all()]) == (22, "root", ["eu", "web"])
    assert AuditEntry.objects.get(verb="added", subject_kind="server").actor_name == "command line"


def test_add_on_behalf_of_a_person(administrator):
    fleet("add", "web-1", "10.0.0.1", "--as", administrator.email)
    assert AuditEntry.objects.get(verb="added", subject_kind="server").actor == administrator


def test_passwords_come_by_standard_input_byte_exact(monkeypatch):
    password, sudo = " pa$$ '\"\\ # ж ", "s"
    code, text = fleet(
        *("add", "web-1", "10.0.0.1", "--user", "deploy", "--password-stdin", "--sudo", "password"),
        *("--sudo-password-stdin", "--json"),
        typed=f"{password}\n{sudo}\n",
        monkeypatch=monkeypatch,
    )
    server = Server.objects.get()
    assert code == 0
    assert (server.password, server.sudo_password) == (Secret(password), Secret(sudo))
    assert json.loads(text)["name"] == "web-1"
    assert password.strip() not in text


def test_an_own_key_by_file(tmp_path):
    private, public = keypair.generate()
    (tmp_path / "id").write_bytes(private.reveal())
    assert fleet("add", "web-1", "10.0.0.1", "--key", str(tmp_path / "id"))[0] == 0
    assert Server.objects.get().ssh_key.public.split()[1] == public.split()[1]
    fleet("add", "web-2", "10.0.0.2", "--key", str(tmp_path / "id"))
    assert Server.objects.get(name="web-2").ssh_key == Server.objects.get(name="web-1").ssh_key
    (tmp_path / "bad").write_text("nonsense")
    code, text = fleet("add", "web-3", "10.0.0.3", "--key", str(tmp_path / "bad"))
    assert (code, "private key" in text) == (2, True)
    assert fleet("add", "web-3", "10.0.0.3", "--key", str(tmp_path / "absent"))[0] == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("add", "web 1", "10.0.0.1"), "name: A server name"),
        (("add", "web-1", "10.0.0.1", "--port", "70000"), "port: A port is a number"),
        (("add", "web-1", "10.0.0.1", "--user", "a b"), "user: A user name"),
        (("add", "web-1", "10.0.0.1", "--user", "deploy"), "sudo: deploy is not root"),
        (("add", "web-1", "10.0.0.1", "--tag=-x"), "tags: A tag has"),
        (("add", "web-1", "10.0.0.1", "--jump", "nobody"), "no server named nobody"),
        (("add", "web-1", "10.0.0.1", "--install-key"), "--install-key needs"),
        (("add", "web-1", "10.0.0.1", "--as", "nobody@example.com"), "no active person"),
        (("check",), "means no server"),
        (("check", "nobody"), "no server named nobody"),
        (("show", "nobody"), "no server named nobody"),
        (("remove", "nobody"), "no server named nobody"),
        (("job", "1"), "no job 1"),
    ],
)
def test_wrong_usage_is_exit_code_two_and_saves_nothing(arguments, words):
    code, text = fleet(*arguments)
    assert code == 2, text
    assert words in text
    assert not Server.objects.exists()


def test_hostile_names_on_the_command_line():
    for value in naughty.strings():
        if value and not value.startswith("-"):
            code, _ = fleet("add", value, "10.0.0.1")
            assert code == 2 or "\n" not in Server.objects.get().name
            Server.objects.all().delete()


def test_list_and_show_as_one_document_each():
    server = factories.ServerFactory(name="web-1", tags=["eu"], pinned=True)
    factories.GatewayFactory(server=server, working=True)
    factories.ServerFactory(name="other")
    told = json.loads(fleet("list", "--json", "--tag", "eu")[1])["servers"]
    assert [row["name"] for row in told] == ["web-1"]
    assert told[0]["services"]["gateway"]["state"] == "working"
    shown = json.loads(fleet("show", "WEB-1", "--json")[1])
    assert shown["findings"] == {}
    assert list(shown["host_keys"].values()) == ["pinned"]


def test_plain_tables_for_pipes():
    server = factories.ServerFactory(name="web-1", tags=["eu"])
    factories.JobFactory(server=server, failed=True)
    assert fleet("list")[1].splitlines()[1].startswith("web-1\troot@")
    assert "name: web-1" in fleet("show", "web-1")[1]
    assert "The server refused the sign-in." in fleet("jobs", "--server", "web-1")[1]


def test_jobs_and_one_job():
    step = factories.JobStepFactory(job__failed=True, title="Sign-in", state="failed")
    factories.JobLineFactory(step=step, text="Permission denied")
    job = step.job
    assert json.loads(fleet("jobs", "--json")[1])["jobs"][0]["id"] == job.pk
    told = json.loads(fleet("job", str(job.pk), "--json")[1])
    assert told["steps"] == [{"title": "Sign-in", "status": "failed"}]
    assert told["hint"]
    text = fleet("job", str(job.pk))[1]
    assert "Permission denied" in text
    assert "Check the user name and the key." in text


def test_remove_refuses_while_a_gateway_is_installed():
    server = factories.ServerFactory(name="web-1")
    factories.GatewayFactory(server=server, working=True)
    code, text = fleet("remove", "web-1", "--yes")
    assert (code, "may still be installed" in text) == (1, True)
    assert fleet("remove", "web-1", "--yes", "--forget")[0] == 0
    assert not Server.objects.exists()


def test_tags_are_given_and_taken_on_the_command_line():
    one, two = factories.ServerFactory(name="one", tags=["eu"]), factories.ServerFactory(name="two")
    assert fleet("tag", "Web,shop", "one", "two") == (0, "2 servers changed.\n")
    assert {tag.name for tag in one.tags.all()} == {"eu", "web", "shop"}
    assert fleet("untag", "shop", "--tag", "eu") == (0, "1 server changed.\n")
    assert {tag.name for tag in two.tags.all()} == {"web", "shop"}
    assert set(AuditEntry.objects.filter(verb="tagged").values_list("actor_name", flat=True)) == {"command line"}
    assert fleet("tag", "<b>", "one")[0] == 2
    assert fleet("tag", "web")[0] == 2


def test_servers_are_chosen_by_state():
    for name, reach in (("dead", "failed"), ("fine", "ok")):
        factories.ServerFactory(name=name, reach=reach, tags=["web"])
    factories.ServerFactory(name="old", reach="failed")
    assert fleet("tag", "look", "--state", "needs-you", "--tag", "web") == (0, "1 server changed.\n")
    assert fleet("tag", "all", "--state", "needs-you") == (0, "2 servers changed.\n")
    assert fleet("tag", "none", "fine", "--state", "needs-you")[0] == 2


def test_a_batch_is_read_retried_and_cancelled():
    batch = factories.BatchFactory(action="server.check")
    for name, how in (("good", "succeeded"), ("bad", "failed"), ("waiting", "")):
        server = factories.ServerFactory(name=name)
        factories.JobFactory(
            batch=batch, server=server, action="server.check", mutating=False, **{how: True} if how else {}
        )
    told = json.loads(fleet("batch", str(batch.pk), "--json")[1])
    assert told["counts"] == {"failed": 1, "queued": 1, "succeeded": 1}
    assert told["action"] == "server.check"
    assert {job["server"] for job in told["jobs"]} == {"good", "bad", "waiting"}
    assert "bad\tfailed\tThe server refused the sign-in." in fleet("batch", str(batch.pk))[1]
    assert fleet("cancel", str(batch.pk))[1].startswith("1 job cancelled.")
    assert "Batch" in fleet("retry", str(batch.pk), "--canary", "1")[1]
    again = Batch.objects.exclude(pk=batch.pk).get()
    assert set(again.jobs.values_list("server__name", flat=True)) == {"bad", "waiting"}
    assert again.canary == 1
    assert "Nothing to retry" in fleet("retry", str(batch.pk))[1]
    job = again.jobs.first()
    assert fleet("cancel", "--job", str(job.pk))[1].startswith("Cancelled")
    assert fleet("cancel", "--job", str(job.pk))[1].startswith("This job had ended")


def test_a_scheduled_batch_is_started():
    batch = factories.BatchFactory(action="server.check", starts_at=timezone.now() + timedelta(hours=1))
    job = factories.JobFactory(batch=batch, action="server.check", mutating=False, released_at=None)
    assert fleet("start", str(batch.pk)) == (0, f"Batch {batch.pk} begins now.\n")
    job.refresh_from_db()
    assert job.released_at is not None
    assert fleet("start", str(batch.pk))[0] == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ("start", "9"),
        ("batch", "9"),
        ("retry", "9"),
        ("cancel", "9"),
        ("cancel", "--job", "9"),
        ("cancel",),
        ("cancel", "9", "--job", "9"),
    ],
)
def test_no_such_batch_is_wrong_usage(arguments):
    assert fleet(*arguments)[0] == 2


def test_a_wrong_policy_starts_nothing():
    factories.ServerFactory()
    code, text = fleet("check", "--all", "--canary", "x")
    assert (code, "--canary" in text, Batch.objects.count()) == (2, True, 0)


def test_pausing_and_resuming_are_audited(administrator):
    assert "resume" in fleet("pause", "--reason", "moving the database", "--as", administrator.email)[1]
    assert pauses.current().reason == "moving the database"
    assert fleet("resume") == (0, "Jobs begin again.\n")
    assert fleet("resume") == (0, "There was no pause.\n")
    assert AuditEntry.objects.get(verb="paused new jobs").actor == administrator
