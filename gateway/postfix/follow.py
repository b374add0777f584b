"""Following a server's mail log from a point taken before something is set off, without polling."""

from servers.remote.command import quote


def mark(log_source: str) -> str:
    """sh that sets $mark to the log's end: a journal cursor, or a size in bytes."""
    if log_source == "journal":
        return "mark=$(journalctl -q -n 1 -o cat --show-cursor); mark=${mark##*-- cursor: }\n"
    return f"mark=$(stat -c %s {quote(log_source)} 2>/dev/null || echo 0)\n"


def follow(log_source: str, wait: int, *, send: str, read: str, limit: int, marked: str = "") -> str:
    """sh that takes a mark (or uses `marked`, sh that sets $mark), runs `send`, then `read` for each new line in $line.

    `read` may `break`; $id is "none" until it sets it; $W is a private scratch directory. It ends after `wait` seconds
    or `limit` lines at the latest.
    """
    if log_source == "journal":
        # -a: without it a line that quotes one odd byte of a provider's reply is "[56B blob data]", its status with it.
        tail = 'journalctl -q -a -f --no-tail --after-cursor="$mark" -o short SYSLOG_FACILITY=2'
    else:
        tail = f'tail -q -s 0.2 -F -c +"$((mark + 1))" {quote(log_source)}'
    return f"""LC_ALL=C; export LC_ALL
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
umask 077
W=$(mktemp -d /tmp/fleetpost.XXXXXXXXXX)
mkfifo "$W/log"
id=none seen=0
{marked or mark(log_source)}
timeout {int(wait)} {tail} >"$W/log" 2>/dev/null </dev/null &
follower=$!
exec 3<"$W/log"
{send.strip()}
while IFS= read -r line <&3; do
  seen=$((seen + 1)); [ $seen -le {int(limit)} ] || break
{read.strip(chr(10))}
done
exec 3<&-
kill "$follower" 2>/dev/null || :
rm -rf "$W"
"""
