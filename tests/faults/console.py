"""The panel's command line in one process that stays: starting Django takes longer than most commands do.

Reads {"arguments": […], "typed": text} a line, answers {"code": n, "said": text, "complained": text}.
"""

import io
import json
import subprocess
import sys

import django
from django.core.management import CommandError, call_command

from tests.panel import ROOT, Panel, PanelError


class ConsolePanel(Panel):
    """A panel whose `manage` goes through such a process; `manage_anew` starts one of its own as a person does."""

    _console: subprocess.Popen | None = None

    def manage(self, *arguments: str, typed: str = "", codes: tuple[int, ...] = (0,)) -> str:
        if self._console is None:
            command = [sys.executable, "-m", "tests.faults.console"]
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
            environment = self.environment | {"DJANGO_SETTINGS_MODULE": "controlpanel.settings"}
            self._console = subprocess.Popen(command, cwd=ROOT, env=environment, text=True, **pipes)
        self._console.stdin.write(json.dumps({"arguments": arguments, "typed": typed}) + "\n")
        self._console.stdin.flush()
        answer = json.loads(self._console.stdout.readline())
        if answer["code"] not in codes:
            raise PanelError(f"manage.py {' '.join(arguments)} ended with {answer}")
        return answer["said"]

    def manage_anew(self, *arguments: str, typed: str = "") -> str:
        return super().manage(*arguments, typed=typed)

    def leave_console(self) -> None:
        if self._console is not None:
            self._console.stdin.close()
            self._console.wait(30)
            self._console = None

    def stop(self) -> None:
        self.leave_console()
        super().stop()


def main() -> None:
    questions, answers = sys.stdin, sys.stdout
    django.setup()
    for line in questions:
        question = json.loads(line)
        sys.stdin, sys.stdout, sys.stderr = io.StringIO(question["typed"]), io.StringIO(), io.StringIO()
        code = 0
        try:
            call_command(*question["arguments"], stdout=sys.stdout, stderr=sys.stderr)
        except SystemExit as leaving:
            code = leaving.code
        except CommandError as error:
            code = error.returncode
            sys.stderr.write(str(error))
        told = {"code": code, "said": sys.stdout.getvalue(), "complained": sys.stderr.getvalue()}
        answers.write(json.dumps(told) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
