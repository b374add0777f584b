"""Servers brought in and taken out: by the verb, on the command line, on the pages."""

import io
import json

import pytest
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from controlpanel.access.models import AuditEntry
from servers import exports, imports
from servers.jobs.models import Batch
from servers.models import HostKey, Server, Tag
from servers.transfer import formats
from servers.transfer.reading import Row
from tests import factories
from tests.servers import naughty
from tests.servers.test_fleet_command import fleet

pytestmark = pytest.mark.django_db
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDpfE7Wf0J2yI3zcXy0rX9l0v5y6Xm1JmQ2d9h6wq4aB"
FILE = f"""name,address,user,tags,jump,note,host_key,password
web-1,10.0.0.1,,web eu,jump-1,=1+1,{KEY} root@web-1,canary-secret
jump-1,203.0.113.5,admin,,,,,canary-secret
web-2,10.0.0.2,,,,,,canary-secret
web-2,10.0.0.3,,,,,,
web-3,nonsense here,,,,,,
"""


@pytest.fixture(autouse=True)
def _no_drafts():
    cache.clear()


def rows(count: int, **values) -> list[Row]:
    return [
        Row(n, f"s{n}", f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}", "22", "root", **values) for n in range(1, count + 1)
    ]


# The verb


def test_rows_become_servers_that_sign_in_with_the_panels_key(administrator):
    made = imports.draft(FILE, user="deploy", tag="imported")
    _, judged = made.judged()
    imports.add_many(judged.add, by=administrator, source="servers.csv")
    web, jump = Server.objects.get(name="web-1"), Server.objects.get(name="jump-1")
    assert (web.address, web.port, web.user, web.note, web.jump) == ("10.0.0.1", 22, "deploy", "=1+1", jump)
    assert web.sudo == Server.Sudo.NOPASSWD
    assert web.ssh_key.is_default
    assert web.password is None
    assert [tag.name for tag in web.tags.all()] == ["eu", "imported", "web"]
    assert [tag.name for tag in jump.tags.all()] == ["imported"]
    web.full_clean()


def test_a_host_key_of_the_file_is_pinned_by_the_person_and_audited(administrator):
    imports.add_many([Row(2, "web-1", "10.0.0.1", "22", "root", host_key=KEY)], by=administrator, source="servers.csv")
    key = HostKey.objects.get()
    assert (key.state, key.accepted_by, f"{key.kind} {key.body}") == (HostKey.State.PINNED, administrator, KEY)
    told = {entry.verb: entry for entry in AuditEntry.objects.filter(subject_name="web-1")}
    assert told["accepted the host key of"].detail["fingerprint"] == key.fingerprint
    assert told["imported"].actor == administrator
    assert told["imported"].detail == {"source": "servers.csv"}
    assert Server.objects.get().login().pinned


def test_all_or_none(administrator):
    factories.ServerFactory(name="S3")
    before = AuditEntry.objects.count()
    with pytest.raises(ValidationError, match="s3 is there by now"):
        imports.add_many(rows(5, tags=("new",)), by=administrator)
    assert Server.objects.count() == 1
    assert not Tag.objects.exists()
    assert AuditEntry.objects.count() == before


def test_a_row_nobody_judged_is_refused(administrator):
    with pytest.raises(ValidationError, match="port"):
        imports.add_many([Row(2, "a", "10.0.0.1", "99999", "root")], by=administrator)
    assert not Server.objects.exists()


def statements(count: int, by) -> int:
    with CaptureQueriesContext(
        connection,
    ) as seen:
        imports.add_many(rows(count, tags=("web", "eu")), by=by)
    Server.objects.all().delete()
    return len(seen)


def test_a_thousand_servers_take_no_statement_each(administrator):
    few, many = statements(10, administrator), statements(1_000, administrator)
    assert many - few < 40


# The command line


def written(tmp_path, text: str | bytes = FILE, name: str = "servers.csv") -> str:
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


def test_import_is_a_dry_run_unless_told(tmp_path):
    code, text = fleet("import", written(tmp_path))
    assert code == 1
    assert "line 5, name: The name web-2 stands in line 4 already." in text
    assert "line 6, address: “nonsense here” does not fit." in text
    assert "3 servers to add. Nothing was added" in text
    assert "canary" not in text
    assert not Server.objects.exists()


def test_import_with_yes_adds_the_good_ones_and_still_says_no(tmp_path):
    code, text = fleet("import", written(tmp_path), "--yes", "--tag", "New")
    assert (code, Server.objects.count()) == (1, 3)
    assert "3 servers added." in text
    assert Server.objects.filter(tags__name="new").count() == 3
    assert AuditEntry.objects.filter(verb="imported", actor_name="command line").count() == 3
    code, text = fleet("import", written(tmp_path, "name\nweb-1\n"), "--yes")
    assert code == 0
    assert "web-1 is there already" in text


def test_import_reads_columns_as_told_and_answers_in_json(tmp_path):
    path = written(tmp_path, "Maschine,Ort\nweb-1,Kiel\n")
    code, text = fleet("import", path, "--map", "name=Maschine", "--map", "note=2", "--json")
    document = json.loads(text)
    assert (code, document["format"]) == (0, "csv")
    assert [(row["line"], row["name"]) for row in document["add"]] == [(2, "web-1")]
    assert not Server.objects.exists()


@pytest.mark.parametrize(
    "arguments", [("--map", "name=ghost"), ("--map", "name"), ("--tag", "a b"), ("--user=-x",), ("--as", "no@x.de")]
)
def test_import_refuses_wrong_usage_and_adds_nothing(tmp_path, arguments):
    code, _ = fleet("import", written(tmp_path, "name\nweb-1\n"), "--yes", *arguments)
    assert code == 2
    assert not Server.objects.exists()


def test_import_of_a_missing_or_hopeless_file(tmp_path):
    assert fleet("import", str(tmp_path / "none"))[0] == 2
    for data in (b"", b"\x00\x01", b"caf\xe9\n", b"name\n", b"plugin: aws\n"):
        code, text = fleet("import", written(tmp_path, data), "--yes")
        assert code == 1, data
        assert "0 servers added" in text
    assert not Server.objects.exists()


@pytest.mark.parametrize("kind", formats.FORMATS)
def test_a_fleet_makes_the_round_through_every_format(kind, tmp_path):
    fleet("import", written(tmp_path), "--yes", "--tag", "a.b:c")
    before = exports.rows(Server.objects.all())
    _, text = fleet("export", "--format", kind)
    assert "canary" not in text
    Server.objects.update(jump=None)
    Server.objects.all().delete()
    assert fleet("import", written(tmp_path, text, "again"), "--yes")[0] == 0
    after = exports.rows(Server.objects.all())
    if kind == "ssh-config":
        before = [Row(0, r.name, r.address, r.port, r.user, r.tags, r.jump) for r in before]
    assert after == before


def test_export_takes_the_tags_asked_for_and_no_archived_server():
    factories.ServerFactory(name="web-1", tags=["web", "eu"])
    factories.ServerFactory(name="db-1", tags=["db"])
    factories.ServerFactory(name="old", tags=["web"], archived=True)
    _, text = fleet("export", "--tag", "WEB", "--tag", "eu")
    assert "web-1" in text
    assert "db-1" not in text
    assert "old" not in text


def test_no_secret_of_a_server_is_exported():
    factories.ServerFactory(name="web-1", by_password=True)
    for kind in formats.FORMATS:
        assert "canary" not in formats.write(exports.rows(Server.objects.all()), kind)


def test_export_asks_the_same_few_queries_for_any_number(django_assert_num_queries):
    jump = factories.ServerFactory(pinned=True)
    for _ in range(5):
        factories.ServerFactory(jump=jump, tags=["web"], pinned=True)
    with django_assert_num_queries(3):
        assert len(exports.rows(Server.objects.all())) == 6


# The pages


def upload(client, text: str | bytes = FILE, name: str = "servers.csv", **values):
    data = text if isinstance(text, bytes) else text.encode()
    fields = {"kind": "auto", "user": "root", "tag": "", "file": SimpleUploadedFile(name, data), **values}
    return client.post(reverse("servers:import"), fields)


def test_a_file_is_shown_before_anything_is_added(administrator_client):
    answer = upload(administrator_client, tag="imported-1")
    page = administrator_client.get(answer.url).content.decode()
    assert not Server.objects.exists()
    assert "Add 3 servers" in page
    assert "The name web-2 stands in line 4 already." in page
    assert "nonsense here" in page
    assert "canary" not in page
    added = administrator_client.post(answer.url, {"count": "3"})
    assert Server.objects.count() == 3
    done = administrator_client.get(added.url).content.decode()
    assert "3 servers were added" in done
    assert "?tag=imported-1" in done
    assert "2 servers came without a host key" in done


def test_pasted_text_does_as_well(administrator_client):
    fields = {"kind": "auto", "user": "deploy", "tag": "", "text": "[web]\nweb-[1:3] ansible_password=canary\n"}
    answer = administrator_client.post(reverse("servers:import"), fields)
    page = administrator_client.get(answer.url).content.decode()
    assert "Add 3 servers" in page
    assert "Passwords and keys are not imported" in page
    assert "canary" not in page


def test_pressing_twice_adds_once(administrator_client):
    answer = upload(administrator_client)
    first = administrator_client.post(answer.url, {"count": "3"})
    second = administrator_client.post(answer.url, {"count": "3"})
    assert first.url == second.url
    assert Server.objects.count() == 3


def test_what_changed_since_the_dry_run_is_shown_again_first(administrator_client):
    answer = upload(administrator_client)
    factories.ServerFactory(name="WEB-2")
    page = administrator_client.post(answer.url, {"count": "3"}).content.decode()
    assert "Look again; nothing was added." in page
    assert "Add 2 servers" in page
    assert Server.objects.count() == 1


def test_an_import_changes_no_server_that_is_there(administrator_client):
    there = factories.ServerFactory(name="web-1", address="192.0.2.1", note="mine", tags=["own"])
    answer = upload(administrator_client)
    administrator_client.post(answer.url, {"count": "2"})
    there.refresh_from_db()
    assert (there.address, there.note, [tag.name for tag in there.tags.all()]) == ("192.0.2.1", "mine", ["own"])
    assert Server.objects.count() == 3


def test_columns_nobody_knows_are_chosen_by_hand(administrator_client):
    answer = upload(administrator_client, "Maschine;Ort;Passwort\nweb-1;Kiel;canary\n")
    page = administrator_client.get(answer.url).content.decode()
    assert "Maschine" in page
    assert "Kiel" in page
    assert "canary" not in page
    assert "Add " not in page
    twice = administrator_client.post(answer.url, {"map": "1", "column-0": "name", "column-1": "name"}, follow=True)
    assert "Two columns are chosen as name" in twice.content.decode()
    administrator_client.post(answer.url, {"map": "1", "column-0": "name", "column-1": "note", "column-2": "note"})
    administrator_client.post(answer.url, {"map": "1", "column-0": "name", "column-1": "note"})
    administrator_client.post(answer.url, {"count": "1"})
    assert [(server.name, server.note) for server in Server.objects.all()] == [("web-1", "Kiel")]


def test_a_draft_belongs_to_the_person_who_made_it(administrator_client, client):
    answer = upload(administrator_client)
    client.force_login(factories.AdministratorFactory())
    assert client.post(answer.url, {"count": "3"}).url == reverse("servers:import")
    assert not Server.objects.exists()


def test_the_draft_that_waits_holds_no_secret(administrator_client, administrator):
    answer = upload(administrator_client)
    made = imports.find(answer.url.rstrip("/").rsplit("/", 1)[1], administrator)
    assert made.usable
    assert "canary" not in repr(made)


def test_the_first_check_of_what_was_added_is_one_batch(administrator_client):
    answer = upload(administrator_client)
    added = administrator_client.post(answer.url, {"count": "3"})
    checked = administrator_client.post(added.url)
    batch = Batch.objects.get()
    assert checked.url == reverse("jobs:batch", args=[batch.pk])
    assert (batch.action, batch.jobs.count()) == ("server.check", 3)


@pytest.mark.parametrize(
    "data",
    [b"", b"   \n", b"\x00" * 100, b"caf\xe9\n", b"name,address\n", b"plugin: x\n", b"x" * 5_000_001, b"Host *\n"],
)
def test_a_hopeless_file_says_why_and_adds_nothing(administrator_client, data):
    answer = upload(administrator_client, data)
    assert answer.status_code == 422
    assert not Server.objects.exists()


def test_hostile_names_and_values_are_text_on_every_page(administrator_client):
    text = "name,address,note,<b>title</b>\n"
    text += "".join(
        f'"{value}","{value}",x,"{value}"\n' for value in ("<script>alert(1)</script>", "{{7*7}}", "{% x %}")
    )
    answer = upload(administrator_client, text, name="<img src=x>.csv")
    page = administrator_client.get(answer.url).content.decode()
    assert "<script>alert" not in page
    assert "<img src=x>" not in page
    assert "<b>title" not in page
    assert "{{7*7}}" in page


def test_naughty_files_give_a_page_and_no_server_by_accident(administrator_client):
    for value in naughty.strings()[::5]:
        data = f"name,address\n{value},{value}\n".encode("utf-8", "replace")
        answer = upload(administrator_client, data)
        if answer.status_code == 302:
            assert administrator_client.get(answer.url).status_code == 200
    assert not Server.objects.exists()


def test_ten_thousand_rows_are_read_judged_and_shown_in_few_queries(administrator_client):
    text = "name,address\n" + "".join(f"s{n},10.{n >> 16}.{n >> 8 & 255}.{n & 255}\n" for n in range(10_000))
    answer = upload(administrator_client, text)
    with CaptureQueriesContext(connection) as seen:
        page = administrator_client.get(answer.url)
    assert "Add 10000 servers" in page.content.decode()
    assert len(seen) < 15
    assert len(page.content) < 400_000


def test_export_takes_what_the_list_shows(administrator_client):
    factories.ServerFactory(name="web-1", tags=["web"])
    factories.ServerFactory(name="db-1", tags=["db"])
    factories.ServerFactory(name="old", archived=True)
    page = administrator_client.get(reverse("servers:export"), {"tag": "web"}).content.decode()
    assert "The 1 server the list shows" in page
    assert "?tag=web&amp;format=csv" in page
    for query, wanted in (({"tag": "web"}, {"web-1"}), ({"q": "db"}, {"db-1"}), ({}, {"web-1", "db-1"})):
        answer = administrator_client.get(reverse("servers:export"), {**query, "format": "csv"})
        found = formats.read(io.BytesIO(answer.content).read())
        assert {row.name for row in found.rows} == wanted
    assert 'filename="servers.csv"' in answer["Content-Disposition"]


def test_the_list_leads_to_import_and_export(administrator_client, operator_client):
    assert reverse("servers:import") in administrator_client.get(reverse("servers:list")).content.decode()
    factories.ServerFactory(name="web-1", tags=["web"])
    page = administrator_client.get(reverse("servers:list"), {"tag": "web"}).content.decode()
    assert f"{reverse('servers:export')}?tag=web" in page
    assert reverse("servers:export") not in operator_client.get(reverse("servers:list")).content.decode()
