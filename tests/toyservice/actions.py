"""One action for each way a job can end."""

import shlex
import time

from servers.jobs.converge import converge
from servers.jobs.run import Conclusion, LostContact, Run
from servers.remote import errors
from servers.remote.plan import File, Plan, Refusal, Step
from servers.remote.secret import Secret
from tests.toyservice import machine


def note_file() -> str:
    return shlex.quote(str(machine.here() / "note"))


def observe(host) -> str:
    return host.run(f"cat {note_file()} 2>/dev/null || true").text()


def _steps(text: str, pause: float) -> tuple[Step, ...]:
    name = note_file()
    return (
        Step(
            "prepare",
            "Prepare",
            do=f"echo getting ready; echo x >>{name}.prepared; sleep {pause}; echo ready",
            undo=f"rm -f {name}.prepared; echo tidied",
            show=("echo ready",),
        ),
        Step(
            "write",
            "Write the note",
            do=f'cat "$FILES/0" >{name}; echo "wrote $(cat {name})"; [ "$(cat {name})" != poison ]',
            undo=f"rm -f {name}",
            files=(File(name, Secret(text), 0o600),),
            show=(f"install -m 600 … {name}",),
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
        before_apply=_pen_check(run),
        conclude=lambda note, applied: Conclusion(True, "The note is written.", result={"length": len(note)}),
    )


def _pen_check(run: Run):
    def check(note: str, plan: Plan) -> Conclusion | None:
        with run.step("pen", "Try the pen") as step:
            if run.options.get("dry_pen"):
                step.failed()
                return Conclusion(False, "The pen is dry.", cause="dry-pen", hint="Refill it.")
        return None

    return check


def remove_note(run: Run) -> Conclusion:
    return converge(
        run,
        observe=observe,
        plan=lambda note: (
            Plan(steps=(Step("remove", "Remove the note", do=f"rm -f {note_file()}"),)) if note else Plan()
        ),
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
