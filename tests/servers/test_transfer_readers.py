"""What each reader makes of right, wrong and strange files (tests/golden/transfer); nothing hostile gets by."""

import json
import shutil
import subprocess
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path

import pytest

from servers.transfer import ansible_yaml, cells, delimited, formats, hosts, reading
from servers.transfer.reading import MAX_BYTES, MAX_LINES, MAX_SERVERS, MAX_TOLD, Notes, Row
from tests.servers import naughty
from tests.test_architecture import imports

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "transfer"
CASES = [(kind, case) for kind in formats.FORMATS for case in json.loads((GOLDEN / f"{kind}.json").read_text())]
MODULES = ("ansible_ini", "ansible_yaml", "cells", "delimited", "formats", "hosts", "reading", "rules", "ssh_config")


def said(found: reading.Reading) -> list[str]:
    return [("notice, " if problem.notice else "") + str(problem) for problem in found.problems]


@pytest.mark.parametrize(("kind", "case"), CASES, ids=lambda value: value if isinstance(value, str) else value["name"])
def test_files_read_as_recorded(kind, case):
    found = formats.read(case["text"], kind)
    rows = json.loads(json.dumps([{k: v for k, v in asdict(row).items() if v} for row in found.rows]))
    assert rows == case["rows"]
    assert said(found) == case["problems"]


def test_every_format_has_at_least_a_dozen_recorded_files():
    for kind in formats.FORMATS:
        assert sum(1 for other, _ in CASES if other == kind) >= 12


@pytest.mark.parametrize(("kind", "case"), CASES, ids=lambda value: value if isinstance(value, str) else value["name"])
def test_no_secret_of_a_file_is_kept(kind, case):
    assert "canary" not in repr(formats.read(case["text"], kind))


@pytest.mark.parametrize("kind", formats.FORMATS)
def test_a_plain_file_is_recognised(kind):
    plain = next(case for other, case in CASES if other == kind and case["name"] == "a plain file")
    assert formats.recognise(plain["text"]) == kind
    assert formats.read(plain["text"]).kind == kind


@pytest.mark.parametrize("module", [*MODULES, "writing"])
def test_readers_and_writers_touch_no_table_and_no_network(module):
    for name in imports(f"servers.transfer.{module}", typing_too=True):
        assert not name.startswith(("django.db", "servers.models", "servers.jobs", "socket", "subprocess", "paramiko"))


# Encodings


CSV = "name,address,note\nweb-1,10.0.0.1,Grüße 日本\n"


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16"])
def test_the_three_encodings_give_the_same(codec):
    found = formats.read(CSV.encode(codec))
    assert found.rows[0].note == "Grüße 日本"
    assert not found.problems


def test_a_byte_that_is_not_utf8_is_named_with_its_line_and_nothing_is_read():
    found = formats.read(b"name,note\nweb-1,ok\nweb-2,caf\xe9\r\nweb-3,ok\nweb-4,\xff\n")
    assert not found.rows
    assert [str(problem) for problem in found.problems] == [
        "line 3: Byte 0xE9 at position 10 is not UTF-8. Save the file as UTF-8.",
        "line 5: Byte 0xFF at position 7 is not UTF-8. Save the file as UTF-8.",
    ]


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"\xff\xfe\x00\x00n\x00\x00\x00", "UTF-32"),
        (b"\xff\xfen\x00a\x00\x00", "UTF-16"),
        ("name\nweb-1\n".encode("utf-16-le"), "0x00"),
        (b"name\nweb\x00-1\n", "0x00"),
        ("name\nweb-\ud800\n", "Half a character"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "0x89"),
    ],
)
def test_what_is_no_text_is_refused_whole(data, word):
    found = formats.read(data)
    assert not found.rows
    assert word in found.problems[0].text


def test_too_many_bytes_lines_and_servers_are_refused_whole():
    assert "5 MB" in formats.read(b"x" * (MAX_BYTES + 1)).problems[0].text
    assert f"{MAX_LINES:,} lines" in formats.read("name\n" * (MAX_LINES + 1)).problems[0].text
    lines = "".join(f"s{n}\n" for n in range(MAX_SERVERS + 1))
    for kind, text in (
        ("csv", f"name,address\n{lines}"),
        ("ansible-ini", lines),
        ("ssh-config", "".join(f"Host s{n}\n" for n in range(MAX_SERVERS + 1))),
        ("ansible-yaml", "a:\n hosts:\n" + "".join(f"  s{n}:\n" for n in range(MAX_SERVERS + 1))),
    ):
        found = formats.read(text, kind)
        assert not found.rows
        assert "10,000 servers" in found.problems[0].text, kind


def test_any_number_of_broken_lines_is_named_up_to_a_bound():
    found = formats.read("name,address\n" + '"x"y,1\n' * (MAX_LINES - 2), "csv")
    assert len(found.problems) == MAX_TOLD
    assert found.more == MAX_LINES - 2 - MAX_TOLD
    assert not found.rows


def test_open_quotes_cost_their_own_line_even_when_every_line_has_one():
    found = formats.read("name,note\n" + 'web,"x\n' * 501, "csv")
    assert [problem.line for problem in found.faults] == list(range(2, 503))
    assert not found.rows


@pytest.mark.parametrize("kind", ["csv", "ansible-ini", "ssh-config"])
def test_a_line_of_a_megabyte_is_named_and_the_others_are_read(kind):
    good = {"csv": "name,address\nweb-1,10.0.0.1\n", "ansible-ini": "web-1\n", "ssh-config": "Host web-1\n"}[kind]
    found = formats.read(good + "x" * 1_000_000 + "\n", kind)
    assert [row.name for row in found.rows] == ["web-1"]
    assert "1,000,000 characters" in found.faults[0].text


@pytest.mark.parametrize("kind", [formats.AUTO, *formats.FORMATS])
def test_no_naughty_string_ends_a_reader(kind):
    for text in naughty.strings():
        for whole in (
            text,
            f"name,address\n{text},{text}\n",
            f"[{text}]\n{text}\n",
            f"Host {text}\n  HostName {text}\n",
        ):
            found = formats.read(whole, kind)
            assert all(isinstance(row.name, str) for row in found.rows)


def test_every_beginning_of_a_good_file_is_read_or_explained():
    for kind, case in CASES:
        for size in range(0, len(case["text"]), 7):
            formats.read(case["text"][:size], kind)


def test_the_work_of_a_range_is_known_before_it_is_done():
    assert hosts.pattern_size("a[1:999999999]b[1:999999999]") == 999_999_999**2
    notes = Notes()
    inventory = hosts.Inventory(notes)
    assert inventory.host("a[1:999999999]", inventory.group("web", 1), 1) == []
    assert not inventory.hosts


def test_a_range_in_many_groups_is_bounded_in_all():
    text = "".join(f"[g{n}]\nweb[1:9999]\n" for n in range(20))
    assert "members" in formats.read(text, "ansible-ini").problems[0].text


def test_aliases_are_counted_for_what_they_stand_for():
    lines = ["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 50)]
    found = ansible_yaml_problem("\n".join(lines))
    assert "500,000" in found


def ansible_yaml_problem(text: str) -> str:
    with pytest.raises(reading.Refused) as refused:
        ansible_yaml.read(text)
    return str(refused.value)


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? "])
def test_yaml_of_any_depth_is_refused_not_followed(opening):
    assert "nested" in ansible_yaml_problem(opening * 5_000)


def test_groups_deeper_than_anybody_writes_are_refused():
    text = "".join(f"[g{a}:children]\ng{b}\n" for a, b in pairwise(range(100))) + "[g99]\nweb-1\n"
    assert "nested" in formats.read(text, "ansible-ini").problems[0].text


def test_more_groups_and_patterns_than_anybody_writes_are_refused():
    assert "2,000 groups" in formats.read("".join(f"[g{n}]\n" for n in range(2_001)), "ansible-ini").problems[0].text
    many = "".join(f"Host w{n}*\n" for n in range(101))
    assert "100 patterns" in formats.read(many, "ssh-config").problems[0].text


# Cells and round trips


def test_a_guarded_cell_comes_back_as_it_was():
    values = ["=1", "'=1", "''=1", " =1", "' =1", "'", "''", "'tis", "", "+1", "-", "@x", "\tx", "\rx", "＝1", "plain"]
    for value in [*values, *naughty.strings()]:
        guarded = cells.safe(value)
        assert cells.unsafe(guarded) == value
        assert not guarded.lstrip(" ").startswith(("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")), value


KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDpfE7Wf0J2yI3zcXy0rX9l0v5y6Xm1JmQ2d9h6wq4aB"
FLEET = [
    Row(0, "web-1", "10.0.0.1", "22", "root", ("eu", "web"), "jump-1", '=1+1\nsecond, "line" # \' \\ end', KEY),
    Row(0, "jump-1", "2001:db8::1", "2222", "admin", ("all", "1st", "a.b:c-d_e", "größe"), "", '"quoted"'),
    Row(0, "db-1", "db-1.example.com", "22", "deploy", (), "", "'=apostrophe {{ 7*7 }} !vault *a &b"),
    Row(0, "yes", "10.0.0.3", "22", "null", ("no", "true"), "jump-1", "~"),
    Row(0, "1e3.example", "10.0.0.4", "65535", "0x1f", ("ungrouped",), "", "- [x]: y\n\n  indented\ttab"),
]


@pytest.mark.parametrize("kind", ["csv", "ansible-ini", "ansible-yaml"])
def test_what_we_write_we_read_as_it_was(kind):
    text = formats.write(FLEET, kind)
    assert formats.recognise(text) == kind
    found = formats.read(text)
    assert not found.problems
    assert [whole(row) for row in found.rows] == [whole(row) for row in FLEET]


def test_ssh_config_carries_all_but_notes_and_host_keys():
    found = formats.read(formats.write(FLEET, "ssh-config"))
    bare = [Row(0, r.name, r.address, r.port, r.user, r.tags, r.jump) for r in FLEET]
    assert [whole(row) for row in found.rows] == [whole(row) for row in bare]


def whole(row: Row) -> dict:
    return asdict(row) | {"line": 0, "tags": sorted(row.tags)}


@pytest.mark.parametrize("kind", ["csv", "ansible-ini", "ansible-yaml"])
def test_any_note_a_server_may_have_makes_the_round(kind):
    from django.core.exceptions import ValidationError

    from servers import validators

    carried = 0
    for note in naughty.strings():
        note = note.replace("\r\n", "\n").replace("\r", "\n")
        try:
            validators.note(note)
        except ValidationError:
            continue
        found = formats.read(formats.write([Row(0, "web-1", "10.0.0.1", "22", "root", note=note)], kind), kind)
        assert found.rows[0].note == note
        carried += 1
    assert carried > 300


def test_no_formula_stands_at_the_head_of_an_exported_cell():
    import csv
    import io

    text = formats.write([Row(0, "web-1", "10.0.0.1", "22", "root", note=n) for n in ("=1", "+1", "@x", "\t=1")], "csv")
    for line in csv.reader(io.StringIO(text)):
        assert not any(cell.startswith(("=", "+", "-", "@", "\t")) for cell in line)


def test_columns_are_chosen_by_heading_or_number_beside_those_known():
    titles = ("Maschine", "address", "Ort")
    assert delimited.mapping_from({"name": "maschine", "note": "3"}, titles) == {"name": 0, "address": 1, "note": 2}
    with pytest.raises(ValueError, match="no column"):
        delimited.mapping_from({"name": "ghost"}, titles)
    with pytest.raises(ValueError, match="no field"):
        delimited.mapping_from({"password": "Ort"}, titles)


def test_a_secret_column_cannot_be_chosen_either():
    found = delimited.table("name,password\nweb-1,canary\n", Notes())
    chosen = delimited.rows_of(found, {"name": 0, "note": 1}, Notes())
    assert chosen.rows[0].note == ""
    assert "canary" not in repr((found, chosen))


@pytest.mark.parametrize("kind", formats.FORMATS)
def test_the_largest_fleet_makes_the_round(kind):
    fleet = [
        Row(0, f"s{n}", f"10.0.{n >> 8}.{n & 255}", "22", "deploy", ("eu", "web", "a:b"), "s0" if n else "")
        for n in range(MAX_SERVERS)
    ]
    found = formats.read(formats.write(fleet, kind))
    assert not found.problems
    assert len(found.rows) == MAX_SERVERS


@pytest.mark.skipif(shutil.which("ssh") is None, reason="no OpenSSH client on this machine")
@pytest.mark.parametrize(
    "name", ["patterns are defaults and the first value wins", "negation", "values before any host", "an alias twice"]
)
def test_openssh_reads_the_same_from_its_configuration(name, tmp_path):
    text = next(case["text"] for kind, case in CASES if kind == "ssh-config" and case["name"] == name)
    (tmp_path / "config").write_text(text)
    for row in formats.read(text, "ssh-config").rows:
        asked = ["ssh", "-G", "-F", str(tmp_path / "config"), row.name]
        said = subprocess.run(asked, capture_output=True, text=True, timeout=30, check=True).stdout
        values = dict(line.split(" ", 1) for line in said.splitlines() if " " in line)
        assert values["hostname"] == row.address
        assert values["port"] == (row.port or "22")
        assert not row.user or values["user"] == row.user
