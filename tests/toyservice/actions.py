"""One action for each way a job can end."""

import shlex
import time

from servers.jobs.converge import converge
from servers.jobs.run import Conclusion, LostContact, Run
from servers.remote import errors
from servers.remote.plan import File, Plan, Refusal, Step
from servers.remote.secret import Secret

NOTE = "/tmp/fleetpost-toy-note"  # noqa: S108 - one throw-away file on a throw-away server


def observe(host) -> str:
    return host.run(f"cat {NOTE} 2>/dev/null || true").text()


def _steps(text: str, pause: float) -> tuple[Step, ...]:
    name = shlex.quote(NOTE)
    return (
        Step("prepare", "Prepare", do=f"echo getting ready; sleep {pause}; echo ready", show=("echo ready",)),
        Step(
            "write",
            "Write the note",
            do=f'cat "$FILES/0" >{name}; echo "wrote $(wc -c <{name}) bytes"',
            files=(File(NOTE, Secret(text), 0o600),),
            show=(f"install -m 600 … {NOTE}",),
        ),
    )


def write_note(run: Run) -> Conclusion:
    """options: text, pause (seconds inside a step), refuse, dry_run."""
    text = run.options.get("text", "hello")

    def plan(note: str) -> Plan:
        if run.options.get("refuse"):
            return Plan(refusals=(Refusal("no-pen", "The server has no pen.", "Install a pen."),))
        return Plan() if note == text else Plan(steps=_steps(text, run.options.get("pause", 0)))

    return converge(
        run,
        observe=observe,
        plan=plan,
        conclude=lambda note, applied: Conclusion(True, "The note is written.", result={"length": len(note)}),
    )


def remove_note(run: Run) -> Conclusion:
    return converge(
        run,
        observe=observe,
        plan=lambda note: Plan(steps=(Step("remove", "Remove the note", do=f"rm -f {NOTE}"),)) if note else Plan(),
        conclude=lambda note, applied: Conclusion(True, "The note is gone."),
    )


def look(run: Run) -> Conclusion:
    with run.step("look", "Look at the note") as step:
        note = observe(run.connect())
        step.line(note or "no note")
    return Conclusion(True, "There is a note." if note else "There is no note.", result={"note": note})


def fail(run: Run) -> Conclusion:
    with run.step("try", "Try") as step:
        step.line("535 5.7.8 no")
        step.failed()
    return Conclusion(False, "The server said no.", cause="said-no", hint="Ask again nicely.")


def crash(run: Run) -> Conclusion:
    with run.step("try", "Try"):
        raise ValueError("a fault of the panel, with canary-crash-detail")


def unreachable(run: Run) -> Conclusion:
    with run.step("connect", "Connect"):
        raise errors.ConnectTimeout


def hang(run: Run) -> Conclusion:
    with run.step("wait", "Wait"):
        for _ in range(int(run.options.get("seconds", 60) * 20)):
            run.check_cancelled()
            time.sleep(0.05)
    return Conclusion(True, "Nobody cancelled.")


def lose(run: Run) -> Conclusion:
    raise LostContact("The line went silent.")


def chatter(run: Run) -> Conclusion:
    secret = Secret(run.options.get("secret", "canary-chatter"))
    run.mask(secret)
    with run.step("talk", "Talk") as step:
        for number in range(run.options.get("lines", 3)):
            step.line(f"{number}: {secret.reveal().decode()} and so on")
    return Conclusion(True, f"Talked about {secret.reveal().decode()}.", result={"said": [secret.reveal().decode()]})
