"""The journal's lines as events, and events folded: golden cases and hostile bytes."""

import random

import pytest

from servers.remote.journal import Event, Progress, Reader, parse

GOLDEN = b"""begin 1795247627847 3
step 0 1795247627847 install Install the packages
out 0 Reading package lists...
end 0 1795247627857 changed 0
step 1 1795247627857 write Write main.cf
out 1 No space left on device
end 1 1795247628001 failed 1
end 2 1795247628001 skipped 0
undo 1 1795247628001
back 1 put back
undone 1 1795247628050 ok 0
undo 0 1795247628050
undone 0 1795247628100 ok 0
done 1795247628100 failed rolled-back
"""


def fold(data: bytes, size: int = 1 << 20) -> Progress:
    progress, reader = Progress(), Reader()
    for start in range(0, len(data), size):
        for event in reader.feed(data[start : start + size]):
            progress.apply(event)
    return progress


def test_a_failed_run_reads_as_it_happened():
    progress = fold(GOLDEN)
    assert [(step.slug, step.state, step.undo) for step in progress.steps] == [
        ("install", "changed", "ok"),
        ("write", "failed", "ok"),
        ("", "skipped", ""),
    ]
    assert progress.failed_step.title == "Write main.cf"
    assert progress.failed_step.lines == ["No space left on device"]
    assert progress.failed_step.undo_lines == ["put back"]
    assert (progress.verdict, progress.rolled_back, progress.total) == ("failed", True, 3)
    assert progress.finished == 1795247628.1


@pytest.mark.parametrize("size", [1, 2, 7, 64])
def test_pieces_do_not_matter(size):
    assert fold(GOLDEN, size) == fold(GOLDEN)


def test_reading_on_from_any_offset_gives_the_same_events():
    whole = Reader().feed(GOLDEN)
    for cut in range(0, len(GOLDEN), 11):
        first = Reader()
        events = first.feed(b"~beat\n" + GOLDEN[:cut])
        events += Reader(first.offset).feed(GOLDEN[first.offset :])
        assert [event for event in events if event.kind != "~beat"] == whole


def test_answers_count_for_no_offset():
    reader = Reader(10)
    assert [event.kind for event in reader.feed(b"~beat\n~interrupted\n")] == ["~beat", "~interrupted"]
    assert reader.offset == 10


@pytest.mark.parametrize(
    ("line", "event"),
    [
        (b"out 3 ", Event("out", 3)),
        (b"out 3   indented", Event("out", 3, text="  indented")),
        (b"out 3 \x1b[31mred\xff", Event("out", 3, text="red\ufffd")),
        (b"~busy 7f3a", Event("~busy", slug="7f3a")),
        (b"~refused fence 12", Event("~refused", slug="fence", text="12")),
        (b"~refused perl", Event("~refused", slug="perl")),
        (b"end 0 1795247627857 changed 0", Event("end", 0, 1795247627.857, state="changed")),
    ],
)
def test_lines_become_events(line, event):
    assert parse(line) == event


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"done",
        b"done 1 fine none",
        b"done 1 failed maybe",
        b"end 0 1 done 0",
        b"end x 1 changed 0",
        b"end -1 1 changed 0",
        "end ٣ 1 changed 0".encode(),
        b"end 0 99999999999999999999 changed 0",
        b"nonsense 1 2 3",
        b"out 1 " + b"x" * 100_000,
    ],
)
def test_what_the_runner_cannot_have_written_is_dropped(line):
    assert parse(line) is None


def test_random_bytes_never_raise():
    source = random.Random(3)
    words = [
        b"begin",
        b"step",
        b"out",
        b"end",
        b"done",
        b"undo",
        b"undone",
        b"back",
        b"~refused",
        b" ",
        b"\n",
        b"1",
        b"\xff",
    ]
    data = b" ".join(source.choice([*words, source.randbytes(5)]) for _ in range(20_000))
    fold(data)


def test_a_forged_step_number_costs_no_memory():
    assert len(fold(b"out 999999999 x\n").steps) <= 1000


def test_an_interrupted_run_says_so_until_it_is_recovered():
    torn = GOLDEN.split(b"end 1")[0] + b"~interrupted\n"
    assert fold(torn).interrupted
    assert fold(torn).verdict == ""
    rest = b"recover 1795247629000 3\nundo 1 1795247629000\nundone 1 1795247629000 ok 0\n"
    mended = fold(torn + rest + b"done 1795247629001 interrupted rolled-back\n")
    assert (mended.interrupted, mended.verdict, mended.rolled_back) == (False, "interrupted", True)
    assert mended.steps[1].state == "interrupted"
