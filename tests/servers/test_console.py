import json
from argparse import ArgumentParser
from datetime import UTC, datetime
from io import StringIO

import pytest
from django.core.management.base import OutputWrapper
from django.utils import timezone

from controlpanel.access.gate import Permission
from servers import catalog
from servers.jobs import launch
from servers.jobs.models import Worker
from servers.jobs.rollout import PLAIN, Policy
from servers.jobs.run import Conclusion
from servers.management import console
from tests import factories


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def work(run) -> Conclusion:
    with run.step("look", "Look at [bold]it[/]") as step:
        step.line("a line")
    good = "bad" not in run.server.name
    return Conclusion(good, "Done." if good else "It broke.", changed=good, hint="" if good else "Mend it.")


@pytest.fixture
def toy(monkeypatch):
    action = catalog.Action("do", "Do it", "did", Permission.RUN, work)
    monkeypatch.setitem(catalog._services, "toy", catalog.Service("toy", "Toy", (action,), "", dict, "", lambda _: {}))


def batch(*names: str):
    return launch.launch("toy.do", [factories.ServerFactory(name=name) for name in names], by=None)


def follow(made, out=None, **how) -> tuple[int, str]:
    out = out or StringIO()
    return console.follow(made, out=out, **how), out.getvalue()


@pytest.mark.django_db(transaction=True)
def test_the_document_is_all_there_is_on_standard_output(toy, capfd):
    code, text = follow(batch("web-1"), here=True, as_json=True)
    told = json.loads(text)
    assert code == console.OK
    assert told["counts"] == {"succeeded": 1}
    assert set(told["jobs"][0]) == {
        *("id", "server", "action", "status", "changed", "outcome", "seconds", "steps", "result"),
    }
    assert told["jobs"][0] | {"id": 0, "seconds": 0} == {
        "id": 0,
        "server": "web-1",
        "action": "toy.do",
        "status": "succeeded",
        "changed": True,
        "outcome": "Done.",
        "seconds": 0,
        "steps": [{"title": "Look at [bold]it[/]", "status": "unchanged"}],
        "result": {},
    }
    assert capfd.readouterr().out == ""


@pytest.mark.django_db(transaction=True)
def test_one_failure_is_exit_code_one(toy):
    code, text = follow(batch("web-1", "bad-1"), here=True)
    assert code == console.NOT_ALL
    assert "bad-1: failed. It broke. Mend it." in text
    assert "web-1: Look at [bold]it[/]: nothing to change\n" in text
    assert "\x1b" not in text


@pytest.mark.django_db(transaction=True)
def test_plain_lines_are_lines_even_on_a_commands_own_stream(toy):
    out = StringIO()
    console.follow(batch("web-1"), out=OutputWrapper(out), here=True)
    assert "\n\n" not in out.getvalue()


@pytest.mark.django_db(transaction=True)
def test_a_terminal_gets_a_table_and_markup_of_servers_is_text(toy):
    code, text = follow(batch("web-1", "bad-1"), out=Terminal(), here=True)
    assert code == console.NOT_ALL
    assert "Outcome" in text
    assert "It broke." in text


@pytest.mark.django_db(transaction=True)
def test_without_a_worker_waiting_says_so_at_once_and_names_the_remedy(toy, capsys):
    made = batch("web-1")
    code, text = follow(made, wait=True, as_json=True)
    assert code == console.NOT_ALL
    assert json.loads(text)["counts"] == {"queued": 1}
    complaint = capsys.readouterr().err
    assert "No worker is running" in complaint
    assert "--here" in complaint
    assert "make up" in complaint


@pytest.mark.django_db(transaction=True)
def test_with_a_worker_it_waits_until_every_job_has_finished(toy):
    Worker.objects.create(name="w", seen_at=timezone.now())
    made = batch("web-1")
    from threading import Timer

    from servers.jobs import runner

    Timer(0.7, runner.run, [made.jobs.get().pk]).start()
    code, text = follow(made, wait=True)
    assert (code, "web-1: succeeded. Done." in text) == (console.OK, True)


@pytest.mark.django_db
def test_without_waiting_the_batch_is_named(toy):
    made = batch("web-1", "web-2")
    code, text = follow(made)
    assert code == console.OK
    assert f"Batch {made.pk}: 2 jobs queued" in text


@pytest.mark.django_db
def test_servers_by_name_tag_or_all_each_once():
    one = factories.ServerFactory(name="one", tags=["eu", "web"])
    two = factories.ServerFactory(name="two", tags=["web"])
    factories.ServerFactory(name="gone", archived=True, tags=["web"])

    def chosen(*names, tag=(), everyone=False):
        return console.selection({"servers": names, "tag": list(tag), "all": everyone})

    assert chosen("ONE", "one", tag=["Web", "eu"]) == [one, two]
    assert chosen(everyone=True) == [one, two]
    for wrong in (lambda: chosen("nobody"), lambda: chosen("gone"), chosen, lambda: chosen(tag=["nothing"])):
        with pytest.raises(console.Usage) as error:
            wrong()
        assert error.value.returncode == 2


@pytest.mark.django_db
def test_the_actor_is_a_person_or_the_command_line():
    person = factories.OperatorFactory(email="op@example.com")
    assert console.actor("OP@example.com") == person
    assert console.actor(None) is None
    with pytest.raises(console.Usage, match="no active person"):
        console.actor("nobody@example.com")


def asked(*arguments: str) -> Policy:
    parser = ArgumentParser()
    console.add_policy(parser)
    return console.policy(vars(parser.parse_args(arguments)))


def test_a_policy_is_plain_until_something_is_asked():
    assert asked() == PLAIN
    assert asked(
        *("--canary", "2", "--batch-percent", "25", "--stop-after", "3", "--stop-percent", "10", "--at-once", "8"),
        *("--order", "random", "--start-at", "2099-01-02T02:00", "--end-at", "2099-01-02 06:00+02:00"),
    ) == Policy(2, 25, 3, 10, 8, "random", datetime(2099, 1, 2, 2, tzinfo=UTC), datetime(2099, 1, 2, 4, tzinfo=UTC))


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *((name, value) for name in ("canary", "stop-after", "at-once") for value in ("0", "-1", "x", "2.5")),
        *((name, value) for name in ("batch-percent", "stop-percent") for value in ("0", "101", "10%")),
        *((name, value) for name in ("start-at", "end-at") for value in ("25:00", "soon", "2020-01-01 00:00", "02:60")),
        ("order", "size"),
    ],
)
def test_a_wrong_policy_is_refused_by_the_name_of_its_option(option, value):
    with pytest.raises(console.Usage, match=f"^--{option}: ") as refused:
        asked(f"--{option}={value}")
    assert refused.value.returncode == 2


def test_a_window_ends_after_it_begins():
    with pytest.raises(console.Usage, match="--end-at: This is not after"):
        asked("--start-at", "2099-01-02 02:00", "--end-at", "2099-01-02 01:00")


@pytest.mark.django_db(transaction=True)
def test_a_batch_run_here_goes_wave_by_wave_and_stops_when_its_canary_fails(toy):
    names = ("bad-1", "web-2", "web-3")
    servers = [factories.ServerFactory(name=name) for name in names]
    made = launch.launch("toy.do", servers, by=None, policy=Policy(canary=1))
    code, text = follow(made, here=True, as_json=True)
    told = json.loads(text)
    assert (code, told["counts"]) == (console.NOT_ALL, {"cancelled": 2, "failed": 1})


@pytest.mark.django_db(transaction=True)
def test_a_batch_run_here_goes_through_all_its_waves(toy):
    servers = [factories.ServerFactory(name=f"web-{number}") for number in range(5)]
    made = launch.launch("toy.do", servers, by=None, policy=Policy(canary=1, portion=40, concurrency=2))
    code, text = follow(made, here=True, as_json=True)
    assert (code, json.loads(text)["counts"]) == (console.OK, {"succeeded": 5})
