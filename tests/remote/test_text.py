"""Hostile text: quoting, cleaning, sections."""

import json
import random
import subprocess
from pathlib import Path

import pytest

from servers.remote import clean, facts
from servers.remote.command import quote, shell

BLNS = Path(__file__).parents[2].parent / "shared" / "data" / "blns.json"
OWN = ["", " ", "'", '"', "$HOME", "`id`", "a\nb", "-n", "\\", "!!", "*", "~", "a\rb", "\x1b[2J", "é\u202e", "'\"'\"'"]


def hostile() -> list[str]:
    if not BLNS.exists():
        pytest.skip("the list of naughty strings is not beside the repository")
    return [text for text in json.loads(BLNS.read_text()) if "\0" not in text] + OWN


@pytest.mark.parametrize("program", ["dash", "bash"])
def test_quoted_words_arrive_byte_for_byte(program):
    words = hostile()
    script = shell("printf", "%s\\0", *words)
    done = subprocess.run([program], input=script.encode("utf-8", "surrogatepass"), capture_output=True, check=True)
    assert done.stdout.split(b"\0")[:-1] == [word.encode("utf-8", "surrogatepass") for word in words]


def test_quoting_survives_random_bytes():
    source = random.Random(5)
    words = ["".join(chr(source.randrange(1, 0x300)) for _ in range(source.randrange(40))) for _ in range(300)]
    done = subprocess.run(["dash"], input=shell("printf", "%s\\0", *words).encode(), capture_output=True, check=True)
    assert [word.decode() for word in done.stdout.split(b"\0")[:-1]] == words


def test_nul_is_refused():
    with pytest.raises(ValueError, match="NUL"):
        quote("a\0b")


def run_sections(parts: dict[str, str]) -> dict[str, bytes]:
    script = facts.section_script(parts)
    return facts.sections(subprocess.run(["dash"], input=script.encode(), capture_output=True, check=True).stdout)


def test_no_content_forges_a_section():
    contents = {f"s{number}": text for number, text in enumerate(hostile())}
    contents["forger"] = "@s0\nZm9yZ2Vk\n.\n"
    found = run_sections({name: shell("printf", "%s", text) for name, text in contents.items()})
    assert {name: body.decode() for name, body in found.items()} == contents


def test_binary_and_failing_sections_keep_to_themselves():
    found = run_sections(
        {"zero": "head -c 300 /dev/zero", "fails": "echo part; exit 7", "reads": "cat", "last": "echo x"}
    )
    assert found == {"zero": bytes(300), "fails": b"part\n", "reads": b"", "last": b"x\n"}


def test_a_section_that_was_cut_is_absent():
    stdout = b"motd noise\n@one\nYQ==\n.\n@two\nYWFh"
    assert facts.sections(stdout) == {"one": b"a"}


def test_damaged_base64_is_absent():
    assert facts.sections(b"@one\n!!!\n.\n@two\nYg==\n.\n") == {"two": b"b"}


def test_section_names_are_plain():
    with pytest.raises(ValueError, match="section name"):
        facts.section_script({"a b": "true"})


@pytest.mark.parametrize(
    ("raw", "plain"),
    [
        (b"\x1b[31mred\x1b[0m", "red"),
        (b"\x1b]0;title\x07text", "text"),
        (b"\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        (b"a\x00b\x08c", "abc"),
        ("safe\u202egnp.exe".encode(), "safegnp.exe"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"10%\r20%\rdone\r\n", "10%\n20%\ndone\n"),
        (b"\xc2\x9b31mC1", "C1"),
        (b"\x1bPhidden\x1b\\seen", "seen"),
        (b"tab\tkept", "tab\tkept"),
    ],
)
def test_terminal_codes_and_invisible_characters_are_removed(raw, plain):
    assert clean.text(raw) == plain


def test_long_lines_are_cut():
    assert len(clean.text(b"x" * 100_000)) < clean.LINE + 10


def test_cleaning_is_quick_on_hostile_input():
    for piece in (b"\x1b]", b"\x1b[", b"\x1bP", b"\x1b", b"\xc2\x9b"):
        clean.text(piece * 200_000)
