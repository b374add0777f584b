"""Runs that outlive the connection: a plan as one text for the server, and the texts that find the run again.

All of them stream the journal, which `journal.Reader` reads. On the server everything lives under `base` (0700 root):
`lock` held by the one runner, `submit` held while a run is taken in, `current` naming the running step's session,
`fence/<panel>`, and `jobs/<token>/{run,plan,journal,files/}`, of which the last 20 are kept and `files/` only while a
run lasts. The programs are Perl because perl-base is essential wherever apt is: one process instead of five per step,
and it can read a step's output while it watches the clock, which a shell pipeline cannot.
"""

import base64
import re
from functools import cache
from pathlib import Path

from servers.remote import clean
from servers.remote.command import quote, shell
from servers.remote.host import Limits
from servers.remote.plan import Plan
from servers.remote.secret import Secret

BASE = "/var/lib/fleetpost"
_FOLDER = Path(__file__).with_name("onserver")
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_PATH = re.compile(r"(/[A-Za-z0-9_.-]+)+")


def submit_script(plan: Plan, token: str, fence: int, panel: str, *, base: str = BASE) -> Secret:
    """Starts `plan` as the run `token` and follows it; a known token is only followed, never run twice.

    fence: refused unless higher than any that `panel` used on this server for another token.
    """
    rows = [f"run {_base64(_program('common', 'run', 'shell') + 'main_run();')}", f"plan {_base64(_plan_text(plan))}"]
    for position, step in enumerate(plan.steps):
        for number, file in enumerate(step.files):
            content = file.content.reveal() if isinstance(file.content, Secret) else file.content
            rows.append(f"files/{position}/{number} {_base64(content)}")
    return Secret(_call("submit", base, token, [_word(panel), str(int(fence))], "\n".join(rows)))


def follow_script(token: str, offset: int = 0, *, base: str = BASE) -> str:
    """Follows the run `token` from the journal's byte `offset`."""
    return _call("follow", base, token, [str(int(offset))])


def recover_script(token: str, offset: int = 0, *, base: str = BASE) -> str:
    """Puts back what the interrupted run `token` had begun, and follows that."""
    return _call("recover", base, token, [str(int(offset))])


def cancel_script(token: str, *, base: str = BASE) -> str:
    """Asks the run `token` to stop before its next step and to put back the earlier ones."""
    folder = f"{_path(base)}/jobs/{_word(token)}"
    return f"[ ! -d {quote(folder)} ] || : >{quote(folder + '/cancel')}\n"


def limits(plan: Plan, *, output: int = 1_000_000) -> Limits:
    """Enough for every step and every undo to use up its own limit; the server says something every 5 seconds."""
    return Limits(total=120.0 + 2 * sum(step.limit + 15 for step in plan.steps), idle=30.0, output=output)


def _plan_text(plan: Plan) -> str:
    rows = []
    for step in plan.steps:
        texts = (clean.line(step.title), step.do, step.undo)
        rows.append(" ".join((str(int(step.limit)), _word(step.slug), *map(_base64, texts))))
    return "\n".join(rows) + "\n"


def _call(mode: str, base: str, token: str, more: list[str], data: str = "") -> str:
    # printf is the shell's own: neither the program nor its data is ever an argument of a process.
    program = (
        _program("common", "submit", "follow") + "submit() if $mode eq 'submit';\nrecover() if $mode eq 'recover';\n"
    )
    program += "follow($mode eq 'submit' ? 0 : $rest[-1]);\n__DATA__\n" + data + "\n"
    call = shell("perl", "-", mode, _path(base), _word(token), *more)
    return f"command -v perl >/dev/null || {{ echo '~refused perl'; exit 0; }}\nprintf %s {quote(program)} | {call}\n"


@cache
def _program(*names: str) -> str:
    return "".join((_FOLDER / f"{name}.pl").read_text() for name in names)


def _base64(content: bytes | str) -> str:
    return base64.b64encode(content.encode() if isinstance(content, str) else content).decode()


def _word(text: str) -> str:
    if not _WORD.fullmatch(text):
        raise ValueError(f"not a token: {text!r}")
    return text


def _path(text: str) -> str:
    if not _PATH.fullmatch(text):
        raise ValueError(f"not an absolute path of plain names: {text!r}")
    return text
