"""One script on one open channel: through the door to root, then both streams to the end."""

from collections.abc import Callable

from servers.remote import door
from servers.remote.errors import (
    LimitReached,
    LostContact,
    SessionRefused,
    SudoPasswordNeeded,
    SudoPasswordWrong,
)
from servers.remote.host import Limits, Login, Output
from servers.remote.pump import Capture, Pump

TIDY = Limits(total=8.0, idle=8.0, output=4096)  # for ending a command that used up its own limits
NOISE = 64 * 1024  # bytes a server may print before its root shell speaks


class Session:
    """Drives `channel`, on which `door.command(login)` was started. leader: session id there, 0 until known.

    trusted: root's shell has spoken on this connection before, so the script need not wait for it once more.
    """

    def __init__(self, channel, login: Login, limits: Limits, alive: Callable[[], bool], *, trusted: bool = False):
        self.leader = 0
        self._trusted = trusted
        self._channel, self._login, self._limits = channel, login, limits
        self._pump = Pump(channel, limits, alive)
        self._stdout, self._stderr = Capture(limits.output), Capture(limits.output)

    def run(self, parcel: bytes, on_stdout: Callable[[bytes], None] | None) -> Output:
        """Raises RootRefused, SessionRefused, LimitReached (with what was printed), LostContact."""
        if self._trusted:
            self._pump.send(parcel, last=True)
        early = self._enter()

        def keep(data: bytes) -> None:
            self._stdout.add(data)
            if on_stdout:
                on_stdout(data)

        if early:
            keep(early)
        if not self._trusted:
            self._pump.send(parcel, last=True)
        try:
            while self._pump.turn(keep, self._stderr.add):
                pass
        except LimitReached as limit:
            limit.output = self._output(-1)
            raise
        status = self._channel.exit_status
        if status < 0:
            raise LostContact("The server ended the session without saying how the command ended.")
        if status == door.HALF:
            raise LostContact("The script did not arrive whole, so nothing of it was run.")
        return self._output(status)

    def _enter(self) -> bytes:
        """Waits for root's shell, answering sudo; gives what it printed after its greeting."""
        out, err, answered = bytearray(), bytearray(), False
        going = True
        while going:
            try:
                going = self._pump.turn(out.extend, err.extend)
            except LimitReached:
                raise SessionRefused("The server signed us in, but no shell answered.") from None
            found = door.ready(bytes(out))
            if found:
                self.leader, rest = found
                return rest
            if self._login.sudo == "password" and door.asks(bytes(err)):
                self._answer(answered)
                answered = True
                err.clear()
            if len(out) + len(err) > NOISE:
                break
        raise door.refusal(self._login, bytes(out), bytes(err))

    def _answer(self, again: bool) -> None:
        if again:
            raise SudoPasswordWrong()
        if self._login.sudo_password is None:
            raise SudoPasswordNeeded()
        self._pump.send(self._login.sudo_password.reveal() + b"\n", last=False)

    def _output(self, status: int) -> Output:
        lost = self._stdout.lost + self._stderr.lost
        return Output(self._stdout.content(), self._stderr.content(), status, self._pump.seconds, lost > 0)


def end_script(leader: int) -> str:
    """Ends every process of the session `leader`, asking first. Detached runs and daemons have left that session."""
    return f"""for signal in TERM KILL; do
  found=
  for entry in /proc/[0-9]*; do
    read -r line 2>/dev/null <"$entry/stat" || continue
    set -- ${{line##*) }}
    [ "$4" = {int(leader)} ] || continue
    kill -$signal "${{entry#/proc/}}" 2>/dev/null && found=1
  done
  [ "$found" ] || break
  sleep 0.5
done
"""
