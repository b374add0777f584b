"""Which rows become servers, decided without a database."""

import pytest

from servers.models import MAX_JUMPS
from servers.transfer import rules
from servers.transfer.reading import Row
from servers.transfer.rules import Present
from tests.servers import naughty

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDpfE7Wf0J2yI3zcXy0rX9l0v5y6Xm1JmQ2d9h6wq4aB"


def judge(*rows: Row, present=(), user="root") -> rules.Judged:
    return rules.judge(rows, present, user=user, max_jumps=MAX_JUMPS)


def said(judged: rules.Judged) -> list[str]:
    return [str(problem) for problem in judged.problems]


def test_a_row_is_put_into_one_spelling():
    judged = judge(Row(2, " web-1 ", "[2001:DB8::0:1]", "", "", ("Web", "web", "EU"), host_key=f"{KEY} root@web-1"))
    assert judged.add == (Row(2, "web-1", "2001:db8::1", "22", "root", ("web", "eu"), host_key=KEY),)


def test_a_server_without_a_name_is_named_after_its_address():
    judged = judge(Row(2, "", "10.0.0.1"), Row(3, "10.0.0.2"), Row(4, "", "2001:db8::7"), Row(5, "", "a.example.com"))
    names = [(row.name, row.address) for row in judged.add]
    assert names[:2] == [("10-0-0-1", "10.0.0.1"), ("10-0-0-2", "10.0.0.2")]
    assert names[2:] == [("2001-db8-7", "2001:db8::7"), ("a.example.com", "a.example.com")]


def test_the_user_of_the_file_wins_over_the_one_chosen():
    judged = judge(Row(2, "a"), Row(3, "b", user="deploy"), user="admin")
    assert [row.user for row in judged.add] == ["admin", "deploy"]


@pytest.mark.parametrize(
    ("row", "field"),
    [
        (Row(7), "name"),
        (Row(7, "web_1", "10.0.0.1"), "name"),
        (Row(7, "a", "10.0.0.300"), "address"),
        (Row(7, "a", "0.0.0.0"), "address"),
        (Row(7, "a", "10.0.0.1:22"), "address"),
        (Row(7, "a", port="70000"), "port"),
        (Row(7, "a", port="２２"), "port"),
        (Row(7, "a", port="22.0"), "port"),
        (Row(7, "a", user="-oProxyCommand=id"), "user"),
        (Row(7, "a", tags=("ok", "a,b")), "tags"),
        (Row(7, "a", tags=tuple(f"t{n}" for n in range(51))), "tags"),
        (Row(7, "a", note="x" * 2001), "note"),
        (Row(7, "a", note="\x1b[2J"), "note"),
        (Row(7, "a", jump="ghost"), "jump"),
        (Row(7, "a", jump="a"), "jump"),
        (Row(7, "a", host_key="ssh-dss AAAA"), "host_key"),
        (Row(7, "a", host_key="ssh-ed25519"), "host_key"),
        (Row(7, "a", host_key="ssh-ed25519 AAAA"), "host_key"),
        (Row(7, "a", host_key=KEY.replace("ed25519", "rsa")), "host_key"),
        (Row(7, "a", host_key="-----BEGIN OPENSSH PRIVATE KEY-----"), "host_key"),
    ],
)
def test_every_broken_rule_is_named_with_line_and_field(row, field):
    judged = judge(row, Row(8, "good"))
    assert [added.name for added in judged.add] == ["good"]
    assert [(problem.line, problem.field) for problem in judged.problems] == [(7, field)]
    assert judged.problems[0].hint


def test_two_broken_fields_are_two_problems():
    assert len(judge(Row(2, "a b", "x y", "0")).problems) == 3


def test_the_second_of_two_equal_names_or_places_names_the_first():
    judged = judge(Row(2, "web", "10.0.0.1"), Row(3, "WEB", "10.0.0.2"), Row(4, "other", "10.0.0.1"))
    assert [row.line for row in judged.add] == [2]
    assert said(judged) == [
        "line 3, name: The name WEB stands in line 2 already. Each server has a name of its own.",
        "line 4, address: 10.0.0.1 port 22 is web in line 2 already. Leave out one of the two.",
    ]


def test_the_same_private_address_behind_two_jump_servers_is_two_servers():
    rows = [Row(2, "j1"), Row(3, "j2"), Row(4, "a", "10.0.0.1", jump="j1"), Row(5, "b", "10.0.0.1", jump="j2")]
    judged = judge(*rows)
    assert len(judged.add) == 4
    assert said(judged) == [
        "line 5, address: b has the address and port of a, by another way. Leave it out if the two are one machine."
    ]
    assert judged.problems[0].notice


def test_a_server_that_is_there_by_name_or_by_place_is_left_alone():
    present = [Present("Web-1", "10.0.0.1", 22), Present("old", "10.0.0.9", 22, archived=True)]
    judged = judge(Row(2, "web-1", "10.9.9.9"), Row(3, "new", "10.0.0.1"), Row(4, "old"), present=present)
    assert not judged.add
    assert not judged.problems
    assert [(row.line, name, archived) for row, name, archived in judged.there] == [
        (2, "Web-1", False),
        (3, "Web-1", False),
        (4, "old", True),
    ]


def test_a_jump_server_is_found_by_name_or_place_in_file_or_panel():
    present = [Present("Bastion", "203.0.113.1", 2222)]
    rows = [
        Row(2, "a", jump="bastion"),
        Row(3, "b", jump="admin@203.0.113.1:2222"),
        Row(4, "c", jump="D"),
        Row(5, "d", "d.example.com"),
        Row(6, "e", jump="d.example.com"),
        Row(7, "f", jump="ssh://x@[2001:db8::1]:22"),
        Row(8, "g", "2001:db8::1"),
    ]
    judged = judge(*rows, present=present)
    assert not judged.problems
    assert [row.jump for row in judged.add] == ["Bastion", "Bastion", "d", "", "d", "g", ""]


def test_a_jump_server_the_panel_has_under_another_name_is_that_server():
    present = [Present("bastion", "203.0.113.1", 22)]
    judged = judge(Row(2, "jump", "203.0.113.1"), Row(3, "a", "10.0.0.1", jump="jump"), present=present)
    assert [(row.name, row.jump) for row in judged.add] == [("a", "bastion")]


def test_a_row_whose_way_is_faulty_is_not_added_either():
    judged = judge(Row(2, "jump", port="0"), Row(3, "a", jump="b"), Row(4, "b", jump="jump"), Row(5, "c"))
    assert [row.name for row in judged.add] == ["c"]
    assert {(problem.line, problem.field) for problem in judged.problems} == {(2, "port"), (3, "jump"), (4, "jump")}


def test_loops_long_ways_and_archived_jump_servers_are_refused():
    loop = judge(Row(2, "a", jump="b"), Row(3, "b", jump="a"))
    assert not loop.add
    chain = [Row(n, f"s{n}", jump=f"s{n + 1}") for n in range(1, 8)] + [Row(8, "s8")]
    assert [row.name for row in judge(*chain).add] == ["s4", "s5", "s6", "s7", "s8"]
    gone = judge(Row(2, "a", jump="old"), present=[Present("old", "10.0.0.1", 22, archived=True)])
    assert "archived" in gone.problems[0].text


def test_what_was_judged_good_is_judged_good_again_unchanged():
    rows = [Row(2, "a", "A.example.COM", "022", "", ("X",), "b", "n\r\nm", f"{KEY} c"), Row(3, "b")]
    first = judge(*rows)
    assert len(first.add) == 2
    assert judge(*first.add).add == first.add


def test_naughty_strings_in_any_field_are_named_or_fit():
    for text in naughty.strings():
        for field in ("name", "address", "port", "user", "jump", "note", "host_key"):
            row = Row(2, **{"name": "web-1", field: text})
            judged = judge(row)
            assert len(judged.add) + len({problem.line for problem in judged.problems}) == 1
            assert all(str(problem).isprintable() for problem in judged.problems), field
        judge(Row(2, "web-1", tags=(text,)))
