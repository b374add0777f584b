"""Detached runs on a machine without faults: order, journal, files, fence, lock."""

import os
import re
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from servers.remote import detached
from servers.remote.plan import File, Plan
from servers.remote.secret import Secret
from tests.remote.onserver import fold, machines, odd_sleep, processes, step


@pytest.fixture(params=["dash", "bash"])
def machine(tmp_path, request):
    yield from machines(tmp_path, request.param)


@pytest.fixture
def one(tmp_path):
    yield from machines(tmp_path)


def states(progress):
    return [(entry.slug, entry.state, entry.undo) for entry in progress.steps]


def test_steps_run_in_order_and_say_what_they_did(machine, tmp_path):
    plan = Plan((step("write", f"echo one >>{tmp_path}/log"), step("look", "echo ::unchanged\necho seen >&2")))
    progress = machine.submit(plan)
    assert states(progress) == [("write", "changed", ""), ("look", "unchanged", "")]
    assert progress.steps[1].lines == ["seen"]
    assert (progress.verdict, progress.rollback, progress.changed) == ("succeeded", "none", True)
    assert abs(progress.finished - time.time()) < 5
    assert (tmp_path / "log").read_text() == "one\n"


def test_a_step_is_a_strict_shell_with_its_files(machine, tmp_path):
    content = bytes(range(256)) * 41
    plan = Plan(
        (
            step(
                "copy",
                f'cat "$FILES/0" "$FILES/1" >{tmp_path}/copy',
                files=(File("/x", content), File("/y", Secret("s"))),
            ),
            step("strict", "echo $UNSET_NAME; echo not reached"),
        )
    )
    progress = machine.submit(plan)
    assert (tmp_path / "copy").read_bytes() == content + b"s"
    assert progress.steps[1].state == "failed"
    assert "not reached" not in progress.steps[1].lines


def test_a_failure_puts_back_what_was_done_last_first(machine, tmp_path):
    log = tmp_path / "log"
    plan = Plan(
        (
            step("a", "true", f"echo a >>{log}"),
            step("b", "echo ::unchanged", f"echo b >>{log}"),
            step("c", "true", f"echo c >>{log}; exit 4"),
            step("d", "echo why; false", f"echo d >>{log}"),
            step("e", "true", f"echo e >>{log}"),
        )
    )
    progress = machine.submit(plan)
    assert log.read_text() == "d\nc\na\n"
    assert [entry.state for entry in progress.steps] == ["changed", "unchanged", "changed", "failed", "skipped"]
    assert [entry.undo for entry in progress.steps] == ["ok", "", "failed", "ok", ""]
    assert (progress.verdict, progress.rollback) == ("failed", "left")
    assert progress.failed_step.lines == ["why"]


def test_a_clean_undo_counts_as_rolled_back(one):
    assert one.submit(Plan((step("a", "true", "true"), step("b", "exit 9", "true")))).rolled_back


def test_a_step_ends_at_its_limit_with_all_its_children(one):
    started = time.monotonic()
    nap = odd_sleep()
    plan = Plan((step("slow", f"trap '' TERM; {nap} & {nap}; echo never", "true", limit=1),))
    progress = one.submit(plan)
    assert time.monotonic() - started < 12
    assert (progress.failed_step.status, progress.rolled_back) == (124, True)
    assert progress.failed_step.lines == ["ended after its limit of 1 s"]
    assert processes(nap) == []


def test_a_daemon_left_by_a_step_does_not_hold_the_run_nor_the_lock(one):
    nap = odd_sleep()
    plan = Plan((step("daemon", f"setsid {nap} & echo started"),))
    assert one.submit(plan).verdict == "succeeded"
    assert one.submit(plan, "t2", 2).verdict == "succeeded"
    assert len(left := processes(nap)) == 2
    for pid in left:
        os.kill(pid, signal.SIGKILL)


def test_output_is_capped_and_the_command_still_finishes(one, tmp_path):
    flood = f"head -c 20000000 /dev/zero | tr '\\0' x; yes | head -c 5000000; echo LAST; touch {tmp_path}/finished"
    progress = one.submit(Plan((step("flood", flood),)))
    lines = progress.steps[0].lines
    assert progress.verdict == "succeeded"
    assert (tmp_path / "finished").exists()
    assert sum(map(len, lines)) < 220_000
    assert lines[-1] == "LAST"
    assert any(re.fullmatch(r"\[\d+ bytes left out\]", line) for line in lines)


def test_output_cannot_forge_events(one):
    forged = "printf 'done 1 succeeded none\\nend 0 1 changed 0\\n~interrupted\\n\\033[2Jx\\rstep 7 1 a b\\n'; false"
    progress = one.submit(Plan((step("liar", forged),)))
    assert (progress.verdict, len(progress.steps)) == ("failed", 1)
    assert progress.steps[0].lines[:3] == ["done 1 succeeded none", "end 0 1 changed 0", "~interrupted"]


def test_binary_output_is_text_in_the_end(one):
    progress = one.submit(Plan((step("binary", "head -c 3000 /dev/urandom; printf '\\377\\000z\\n'"),)))
    assert all("\0" not in line and "\x1b" not in line for line in progress.steps[0].lines)


def test_a_run_leaves_no_files_and_no_scripts(machine):
    plan = Plan((step("a", "test -s $FILES/0", files=(File("/x", Secret("canary-5511")),)), step("b", "false")))
    machine.submit(plan)
    assert machine.staged() == []
    for path in machine.base.rglob("*"):
        assert not path.is_file() or b"canary-5511" not in path.read_bytes()
    assert sorted(path.name for path in (machine.base / "jobs" / "t1").iterdir() if path.stat().st_size) == [
        "journal",
        "plan",
        "run",
    ]


def test_everything_on_the_server_is_private_to_root(one):
    os.umask(0o022)
    process = one.begin(one.text(Plan((step("a", one.hold(), files=(File("/x", b"y", 0o644),)),))))
    one.wait_held()
    assert one.staged()
    for path in [one.base, *one.base.rglob("*")]:
        assert path.stat().st_mode & 0o077 == 0, path
    one.release()
    process.stdout.read()
    process.wait()


def test_the_same_token_never_runs_twice(machine, tmp_path):
    plan = Plan((step("count", f"echo x >>{tmp_path}/runs; sleep 0.5"),))
    with ThreadPoolExecutor(5) as pool:
        results = list(pool.map(lambda _: machine.submit(plan), range(5)))
    assert (tmp_path / "runs").read_text() == "x\n"
    assert {result.verdict for result in results} == {"succeeded"}
    assert machine.submit(plan) == results[0]


def test_following_from_any_offset_gives_the_rest(one):
    one.submit(Plan((step("a", "echo 1; echo 2"), step("b", "echo 3"))))
    journal = one.journal()
    for offset in [0, *(match.end() for match in re.finditer(b"\n", journal))]:
        assert one.stream(detached.follow_script("t1", offset, base=str(one.base))) in (
            journal[offset:],
            b"~interrupted\n",
        )


def test_an_unknown_token_is_unknown(one):
    assert one.follow("nobody").refused == "unknown"
    assert one.recover("nobody").refused == "unknown"


def test_a_fence_that_is_not_higher_is_refused_per_panel(one):
    plan = Plan((step("a", "true"),))
    assert one.submit(plan, "t5", 5).verdict == "succeeded"
    for token, fence in (("t6", 5), ("t7", 4)):
        refused = one.submit(plan, token, fence)
        assert (refused.refused, refused.detail, refused.verdict) == ("fence", "5", "")
    assert one.submit(plan, "o1", 1, "other").verdict == "succeeded"
    assert one.submit(plan, "t8", 6).verdict == "succeeded"
    assert one.submit(plan, "t5", 5).verdict == "succeeded"
    assert not (one.base / "jobs" / "t6").exists()


def test_one_run_at_a_time_and_the_second_is_told_which(one):
    process = one.begin(one.text(Plan((step("slow", one.hold()),))))
    one.wait_held()
    busy = one.submit(Plan((step("other", "true"),)), "t2", 2)
    assert (busy.refused, busy.detail, busy.verdict) == ("busy", "t1", "")
    one.release()
    assert fold(process.stdout.read()).verdict == "succeeded"
    process.wait()
    assert one.submit(Plan((step("other", "true"),)), "t2", 2).verdict == "succeeded"


def test_twenty_at_once_make_one_run_each_or_busy(one, tmp_path):
    plan = Plan(
        (step("alone", f"mkdir {tmp_path}/holding; sleep 0.1; rmdir {tmp_path}/holding; echo x >>{tmp_path}/n"),)
    )
    with ThreadPoolExecutor(20) as pool:
        results = list(pool.map(lambda n: one.submit(plan, f"r{n}", 1, f"panel{n}"), range(20)))
    done = [result for result in results if result.verdict == "succeeded"]
    assert len(done) == len((tmp_path / "n").read_text().split())
    assert all(result.verdict == "succeeded" or result.refused == "busy" for result in results)
    assert done


def test_a_cancel_stops_before_the_next_step_and_puts_back(one, tmp_path):
    plan = Plan((step("a", one.hold(), f"touch {tmp_path}/undone"), step("b", f"touch {tmp_path}/never")))
    process = one.begin(one.text(plan))
    one.wait_held()
    one.stream(detached.cancel_script("t1", base=str(one.base)))
    one.release()
    progress = fold(process.stdout.read())
    process.wait()
    assert (progress.verdict, progress.rolled_back) == ("cancelled", True)
    assert (tmp_path / "undone").exists()
    assert not (tmp_path / "never").exists()


def test_only_the_last_twenty_jobs_are_kept(one):
    for number in range(23):
        one.submit(Plan((step("a", "true"),)), f"t{number}", number + 1)
    assert len(list((one.base / "jobs").iterdir())) == 20
    assert (one.base / "jobs" / "t22" / "journal").exists()


def test_a_quiet_step_is_heard_of_every_five_seconds(one):
    output = one.stream(one.text(Plan((step("quiet", "sleep 6"),))))
    assert output.count(b"~beat\n") == 1


def test_many_steps_cost_little(one):
    plan = Plan(tuple(step(f"s{number}", "true") for number in range(40)))
    started = time.monotonic()
    assert one.submit(plan).verdict == "succeeded"
    print(f"40 steps in {time.monotonic() - started:.2f} s")
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("token", ["", "../x", "a b", "-x", "a/b", "x" * 65, "a\nb"])
def test_tokens_are_plain_words(token):
    for build in (detached.follow_script, detached.recover_script, detached.cancel_script):
        with pytest.raises(ValueError, match="token"):
            build(token)


def test_only_modules_of_perl_base_are_used():
    used = set(re.findall(r"^use ([A-Za-z:]+)", detached._program("common", "submit", "follow", "run", "shell"), re.M))
    assert used == {"strict", "warnings", "Fcntl", "POSIX", "IO::Handle", "constant"}


def test_limits_cover_every_step_and_undo():
    limits = detached.limits(Plan((step("a", "true", limit=100), step("b", "true", limit=200))))
    assert limits.total > 600
    assert limits.idle <= 30
