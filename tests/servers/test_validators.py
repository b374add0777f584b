import ipaddress
import re
import socket

import pytest
from django.core.exceptions import ValidationError

from servers import validators
from tests.servers import naughty


def accepts(rule, value) -> bool:
    try:
        rule(value)
    except ValidationError:
        return False
    return True


ONE_LINE_RULES = {
    validators.server_name: r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?",
    validators.address: r"[A-Za-z0-9:]([A-Za-z0-9.:-]*[A-Za-z0-9:.])?",
    validators.posix_user: r"[A-Za-z0-9_.][A-Za-z0-9_.-]{0,31}",
    validators.tag: r"[^\W_][\w.:-]{0,39}",
}


@pytest.mark.parametrize("rule", ONE_LINE_RULES, ids=lambda rule: rule.__name__)
def test_whatever_is_accepted_is_harmless_in_a_shell_a_path_and_a_log_line(rule):
    for value in naughty.strings():
        if accepts(rule, value):
            assert re.fullmatch(ONE_LINE_RULES[rule], value), repr(value)


@pytest.mark.parametrize("rule", ONE_LINE_RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("value", ["-x", "--help", "a\nb", "a\rb", "a\0b", "a\n", "\ta", "a\x1b", "a\x85b", "", " "])
def test_control_characters_and_leading_hyphens_are_refused_with_the_rule(rule, value):
    with pytest.raises(ValidationError) as refused:
        rule(value)
    assert re.match(r"(A|An) (server name|address|user name|tag) ", refused.value.messages[0])


@pytest.mark.parametrize(
    "value",
    [
        "web-1",
        "web-1.example.com",
        "WEB.example.com.",
        "1.example",
        "xn--bcher-kva.example",
        "10.0.0.1",
        "2001:db8::1",
        "::1",
    ],
)
def test_addresses(value):
    validators.address(value)


@pytest.mark.parametrize(
    "value",
    [
        *("web_1", "-web", "web-", "a..b", ".a", "a" * 64, "1.2.3", "127.1", "0x7f000001", "a.0x7f", "010.0.0.1.", "1"),
        *("fe80::1%eth0", "[::1]", "::1:", "10.0.0.1:22", "web:22", "root@web", "ssh://web", "bücher.example"),
        *("0.0.0.0", "::", "255.255.255.255", "224.0.0.1", "ff02::1", "a" * 63 + ("." + "b" * 63) * 3 + ".c"),
    ],
)
def test_refused_addresses(value):
    with pytest.raises(ValidationError):
        validators.address(value)


def test_no_accepted_name_is_read_as_a_number_by_the_resolver():
    """What getaddrinfo takes for an IPv4 address must look like one to a person."""
    for value in [*naughty.strings(), "0x7f000001", "2130706433", "017700000001", "0x7f.1", "127.1", "0xa.0xb", "0x"]:
        if accepts(validators.address, value) and not validators.is_ip_address(value):
            with pytest.raises(OSError, match="illegal IP address"):
                socket.inet_aton(value)


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("Web-1.Example.COM.", "web-1.example.com"),
        (" 10.0.0.1 ", "10.0.0.1"),
        ("[2001:DB8:0::1]", "2001:db8::1"),
        ("::ffff:10.0.0.1", str(ipaddress.ip_address("::ffff:10.0.0.1"))),
        ("web\n", "web\n"),
        ("BÜCHER", "BÜCHER"),
    ],
)
def test_one_spelling_per_address(typed, kept):
    assert validators.normal_address(typed) == kept
    assert validators.normal_address(kept) == kept


@pytest.mark.parametrize("value", [0, -1, 65536, 10**20])
def test_refused_ports(value):
    with pytest.raises(ValidationError, match="from 1 to 65535"):
        validators.port(value)


@pytest.mark.parametrize("value", ["root", "www-data", "first.last", "_apt", "Admin", "svc01", "a" * 32])
def test_user_names(value):
    validators.posix_user(value)


@pytest.mark.parametrize("value", ["0", "1000", ".", "..", "-root", "a" * 33, "a:b", "a$", "DOM\\user", "a/b", "ü"])
def test_refused_user_names(value):
    with pytest.raises(ValidationError, match="A user name has"):
        validators.posix_user(value)


def test_text_keeps_every_language_and_refuses_what_rewrites_the_line():
    for value in naughty.strings():
        if accepts(validators.note, value):
            assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", value), repr(value)
    validators.note("Zürich 東京 العربية 😀\r\nsecond line\twith a tab")
    with pytest.raises(ValidationError, match="A note is plain text"):
        validators.note("a\rb")


def test_a_password_is_byte_exact():
    for value in ("# : { / & $ ' \" \\ %", "  spaces  ", "пароль", "x" * 500):
        validators.secret_text(value)
    for value in ("", "a\nb", "a\rb", "a\0b", "x" * 501, "ж" * 251, "\ud800"):
        with pytest.raises(ValidationError, match="A password"):
            validators.secret_text(value)
