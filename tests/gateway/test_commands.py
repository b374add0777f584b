"""The command line of the email gateway: flags, documents, exit codes."""

import io
import json
import sys

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from gateway.models import Gateway, Smarthost
from servers.jobs.models import Job
from servers.remote.secret import Secret
from tests.factories import GatewayFactory, ServerFactory, SmarthostFactory

pytestmark = pytest.mark.django_db
PASSWORD = "  canary #:{/&$'\"\\% é "


def run(*argv: str, stdin: str | None = None, monkeypatch=None) -> tuple[int, str]:
    """Exit code and standard output of one command."""
    if stdin is not None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
    out = io.StringIO()
    try:
        call_command(*argv, stdout=out)
    except SystemExit as leaving:
        return leaving.code, out.getvalue()
    except CommandError as error:
        return error.returncode, out.getvalue()
    return 0, out.getvalue()


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_password_from_standard_input_is_byte_exact(end, monkeypatch):
    argv = ("smarthost", "add", "one", "--host", "smtp.example.com", "--username", "me", "--password-stdin", "--json")
    code, printed = run(*argv, stdin=PASSWORD + end, monkeypatch=monkeypatch)
    assert code == 0
    assert Smarthost.objects.get(name="one").password == Secret(PASSWORD)
    document = json.loads(printed)
    assert (document["password"], document["tls"], document["port"]) == ("set", "starttls", 587)
    assert "canary" not in printed


def test_list_and_show_never_print_a_password():
    SmarthostFactory(name="one", password=Secret("canary-cli"), default=True)
    for argv in (("list",), ("list", "--json"), ("show", "one"), ("show", "one", "--json")):
        code, printed = run("smarthost", *argv)
        assert code == 0
        assert "one" in printed
        assert "canary-cli" not in printed


@pytest.mark.parametrize(
    "argv",
    [
        ("smarthost", "add", "x", "--host", "a b"),
        ("smarthost", "add", "x", "--host", "smtp.example.com", "--port", "70000"),
        ("smarthost", "add", "x", "--host", "smtp.example.com", "--port", "465", "--tls", "starttls"),
        ("smarthost", "add", "x", "--preset", "nonsense"),
        ("smarthost", "add", "a\nb", "--host", "smtp.example.com"),
        ("smarthost", "show", "nobody"),
        ("smarthost", "set-default", "nobody"),
        ("gateway", "install"),
        ("gateway", "install", "nosuch"),
        ("gateway", "install", "--all", "--smarthost", "nobody"),
        ("gateway", "install", "--all"),
        ("gateway", "test", "--all", "--to", "not an address"),
    ],
)
def test_wrong_usage_exits_with_two_and_saves_nothing(argv):
    ServerFactory(name="web")
    assert run(*argv)[0] == 2
    assert not Smarthost.objects.exists()
    assert not Job.objects.exists()


def test_set_default_moves_the_default():
    SmarthostFactory(name="one", default=True)
    SmarthostFactory(name="two")
    assert run("smarthost", "set-default", "two")[0] == 0
    assert Smarthost.objects.default().name == "two"


def test_install_takes_the_named_provider_for_every_selected_server():
    smarthost = SmarthostFactory(name="one")
    tagged = [ServerFactory(tags=["shop"]), ServerFactory(tags=["shop"])]
    ServerFactory()
    code, printed = run("gateway", "install", "--tag", "shop", "--smarthost", "one", "--json")
    document = json.loads(printed)
    assert code == 0
    assert document["counts"] == {"queued": 2}
    assert {job["server"] for job in document["jobs"]} == {server.name for server in tagged}
    assert set(document["jobs"][0]) >= {
        *("id", "server", "action", "status", "changed", "outcome", "seconds", "steps", "result")
    }
    assert set(Gateway.objects.values_list("wanted", flat=True)) == {smarthost.pk}


def test_install_takes_the_default_where_nothing_was_chosen():
    default, other = SmarthostFactory(default=True), SmarthostFactory()
    fresh, chosen = ServerFactory(), GatewayFactory(wanted=other).server
    assert run("gateway", "install", fresh.name, chosen.name)[0] == 0
    assert Gateway.objects.get(server=fresh).wanted == default
    assert Gateway.objects.get(server=chosen).wanted == other


def test_a_dry_run_wants_nothing_and_takes_no_slot():
    SmarthostFactory(name="one")
    server = ServerFactory()
    assert run("gateway", "install", server.name, "--smarthost", "one", "--dry-run")[0] == 0
    job = Job.objects.get()
    assert (job.action, job.mutating) == ("gateway.preview", False)
    assert not Gateway.objects.exists()


def test_a_busy_server_is_said_with_exit_code_one():
    SmarthostFactory(default=True)
    server = ServerFactory()
    assert run("gateway", "install", server.name)[0] == 0
    assert run("gateway", "install", server.name)[0] == 1
    assert Job.objects.count() == 1


def test_wait_without_a_worker_says_so_at_once(capsys):
    SmarthostFactory(default=True)
    server = ServerFactory()
    assert run("gateway", "install", server.name, "--wait")[0] == 1
    assert "--here" in capsys.readouterr().err


def test_status_knows_every_selected_server_in_few_queries(django_assert_max_num_queries):
    for _ in range(5):
        GatewayFactory(working=True, queued=2)
    ServerFactory(name="bare")
    with django_assert_max_num_queries(3):
        code, printed = run("gateway", "status", "--all", "--json")
    rows = {row["server"]: row for row in json.loads(printed)["servers"]}
    assert code == 0
    assert rows["bare"]["state"] == "absent"
    assert [row["state"] for row in rows.values()].count("working") == 5


def test_limits_are_told_in_words_for_an_account_and_for_its_servers(django_assert_max_num_queries):
    box = SmarthostFactory(name="box", preset="m365", host="smtp.office365.com", username="box@example.com")
    for share in (1, 4, 4):
        GatewayFactory(wanted=box, working=True, applied_share=share)
    with django_assert_max_num_queries(5):
        _, printed = run("gateway", "status", "--all")
    assert printed.count("may hand over one message every 8 seconds") == 2
    assert printed.count("may hand over one message every 2 seconds") == 1
    _, shown = run("smarthost", "show", "box")
    assert "3 servers share it and 4 are reckoned with" in shown
    assert "1 server keeps the limits of the whole account, but more servers use the account now." in shown


# ── a password, once for all ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def used():
    smarthost = SmarthostFactory(name="main", password=Secret("canary-old"), username="relay")
    return smarthost, [GatewayFactory(wanted=smarthost, working=True).server for _ in range(3)]


def test_rotate_says_how_many_servers_still_use_the_earlier_password(used, monkeypatch):
    code, printed = run(
        "smarthost", "rotate", "main", "--password-stdin", stdin="canary-new\n", monkeypatch=monkeypatch
    )
    assert (code, Job.objects.count()) == (0, 0)
    assert "3 of 3 servers still use an earlier password." in printed
    assert "manage.py smarthost roll-out main" in printed
    assert "canary" not in printed
    smarthost = Smarthost.objects.get(name="main")
    assert (smarthost.password, smarthost.previous_password) == (Secret("canary-new"), Secret("canary-old"))
    code, printed = run("smarthost", "show", "main", "--json")
    document = json.loads(printed)
    assert (document["in_force"], document["behind"], document["on_earlier_password"]) == (3, 3, 3)
    assert (document["earlier_password"], "canary" in printed) == ("kept", False)


def test_rotate_and_roll_out_proves_on_one_server_first(used, monkeypatch):
    argv = ("smarthost", "rotate", "main", "--password-stdin", "--roll-out", "--stop-after", "2")
    code, _ = run(*argv, stdin="canary-new", monkeypatch=monkeypatch)
    batch = Job.objects.first().batch
    assert (code, batch.action, batch.canary, batch.stop_after) == (0, "gateway.reinstall", 1, 2)
    assert batch.jobs.count() == 3
    assert batch.jobs.filter(released_at__isnull=False).count() == 1


def test_a_user_name_that_comes_with_the_password_is_rotated_with_it(used, monkeypatch):
    argv = ("smarthost", "rotate", "main", "--password-stdin", "--username", "relay-2")
    assert run(*argv, stdin="canary-new", monkeypatch=monkeypatch)[0] == 0
    smarthost = Smarthost.objects.get(name="main")
    assert (smarthost.username, smarthost.previous_username) == ("relay-2", "relay")


def test_rollback_reaches_those_that_took_the_new_one(used, monkeypatch):
    smarthost, (first, *_) = used
    run("smarthost", "rotate", "main", "--password-stdin", stdin="canary-new", monkeypatch=monkeypatch)
    smarthost.refresh_from_db()
    Gateway.objects.filter(server=first).update(applied_revision=2, applied_password_revision=2)
    assert run("smarthost", "rollback", "main")[0] == 0
    assert [job.server for job in Job.objects.all()] == [first]
    assert Smarthost.objects.get(name="main").password == Secret("canary-old")


def test_roll_out_with_nobody_behind_is_said_with_exit_code_one(used):
    assert run("smarthost", "roll-out", "main")[0] == 1
    assert not Job.objects.exists()


def test_nothing_kept_is_wrong_usage(used):
    for verb in ("rollback", "forget"):
        assert run("smarthost", verb, "main")[0] == 2


def test_forget_forgets(used, monkeypatch):
    run("smarthost", "rotate", "main", "--password-stdin", stdin="canary-new", monkeypatch=monkeypatch)
    assert run("smarthost", "forget", "main")[0] == 0
    assert not Smarthost.objects.get(name="main").keeps_previous


@pytest.mark.parametrize("verb", ["install", "reinstall", "uninstall", "test", "check", "preview"])
def test_every_verb_lets_its_batch_loose_as_told(verb, used):
    more = ("--to", "a@example.com") if verb == "test" else ()
    assert run("gateway", verb, "--all", "--canary", "1", "--batch-percent", "50", *more)[0] == 0
    batch = Job.objects.first().batch
    assert (batch.action, batch.canary, batch.portion) == (f"gateway.{verb}", 1, 50)


def test_presets_are_listed_and_shown():
    code, printed = run("smarthost", "presets")
    assert code == 0 and "m365: Microsoft 365, smtp.office365.com, 587, 25" in printed
    assert len(json.loads(run("smarthost", "presets", "--json")[1])["presets"]) == len(printed.splitlines())
    code, printed = run("smarthost", "presets", "m365")
    assert code == 0 and "limits.per_minute    30\n" in printed
    assert run("smarthost", "presets", "nobody")[0] == 2


def test_a_preset_is_changed_and_taken_back():
    SmarthostFactory(preset="m365", host="smtp.office365.com")
    argv = ("smarthost", "preset-set", "m365", "--set", "limits.per_minute=20", "--set", "host=smtp.relay.example.com")
    code, printed = run(*argv, "--note", "IT asked for it.")
    assert code == 0
    assert "limits.per_minute    20   [built-in: 30]" in printed
    assert "IT asked for it." in printed and "1 of 1 accounts keep other values" in printed
    assert "m365 (changed here)" in run("smarthost", "presets")[1]
    document = json.loads(run("smarthost", "preset-set", "m365", "--unset", "limits.per_minute", "--json")[1])
    assert document["built_in"] == {"host": "smtp.office365.com"}
    assert document["values"]["limits.per_minute"] == 30
    document = json.loads(run("smarthost", "preset-set", "m365", "--reset", "--json")[1])
    assert (document["built_in"], document["note"]) == ({}, "")


@pytest.mark.parametrize(
    "argv",
    [
        ("nobody", "--reset"),
        ("m365",),
        ("m365", "--set", "limits.per_minute"),
        ("m365", "--set", "limits.per_minute=many"),
        ("m365", "--set", "label=x"),
        ("m365", "--set", "ports=465"),
        ("m365", "--unset", "nonsense"),
        ("m365", "--reset", "--set", "limits.per_minute=1"),
    ],
)
def test_a_wrong_change_of_a_preset_is_wrong_usage(argv):
    assert run("smarthost", "preset-set", *argv)[0] == 2
    assert "changed here" not in run("smarthost", "presets")[1]
