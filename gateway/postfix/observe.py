"""The one script that reads everything a plan is made from. It changes nothing and starts few processes."""

import re
import textwrap

from gateway.postfix import paths, waiting
from servers.remote.command import quote
from servers.remote.facts import Content, section_script

# What provides a sendmail of its own on Debian and Ubuntu; all conflict with the postfix package.
OTHER_MTAS = (
    *("citadel-server", "courier-mta", "dma", "esmtp-run", "exim4-daemon-heavy", "exim4-daemon-light"),
    *("msmtp-mta", "nullmailer", "opensmtpd", "sendmail-bin", "ssmtp"),
)
_RELATED = [*OTHER_MTAS, "exim4", "exim4-base", "exim4-config", "sendmail", "sendmail-base", "sendmail-cf"]
_PACKAGES = ["postfix", "libsasl2-modules", "cyrus-sasl-plain", "ca-certificates", *_RELATED]
QUEUES = ("deferred", "active", "incoming", "hold", "maildrop")
_QUEUE_PATHS = " ".join(f"{paths.SPOOL}/{name}" for name in QUEUES)
_NONCE = re.compile(r"[0-9A-Za-z_-]{8,64}\Z")

# Key=value lines; shell built-ins wherever they can tell.
_SYSTEM = f"""
line() {{ [ -r "$2" ] && IFS= read -r value <"$2" && echo "$1=$value"; }}
flag() {{ key=$1; shift; if "$@"; then echo "$key=1"; else echo "$key=0"; fi; }}
echo "uid=$(id -u)"
echo "clock=$(date +%s)"
line hostname /proc/sys/kernel/hostname
echo "fqdn=$(hostname -f 2>/dev/null)"
line mailname /etc/mailname
flag systemd test -d /run/systemd/system
flag journal test -d /run/log/journal -o -d /var/log/journal
flag ipv6 test -e /proc/net/if_inet6
flag sendmail test -e /usr/sbin/sendmail
flag aliases test -e /etc/aliases
for log in /var/log/mail.log /var/log/maillog; do [ -f "$log" ] && echo "log=$log"; done
for path in / /etc /etc/postfix {paths.MAIN_CF} /var/lib {paths.SPOOL}; do
  [ ! -e "$path" ] || [ -w "$path" ] || echo "readonly=$path"
done
pid=; command=
[ -r {paths.SPOOL}/pid/master.pid ] && read -r pid <{paths.SPOOL}/pid/master.pid
[ -n "$pid" ] && [ -r "/proc/$pid/comm" ] && read -r command <"/proc/$pid/comm"
flag running test "$command" = master
flag enabled test -e /etc/systemd/system/multi-user.target.wants/postfix.service
flag masked test -L /run/systemd/system/postfix.service
for file in /var/lib/dpkg/updates/[0-9]*; do [ -e "$file" ] && echo "interrupted=1"; done
if [ -e /var/lib/dpkg/lock-frontend ]; then
  inode=$(stat -c %i /var/lib/dpkg/lock-frontend)
  while read -r lock; do case $lock in *":$inode "*) echo "locked=1";; esac; done </proc/locks
fi
if [ -e {paths.SPOOL}/pid ]; then
  cmp -s /etc/resolv.conf {paths.SPOOL}/etc/resolv.conf || {{
    [ ! -e /etc/resolv.conf ] && [ ! -e {paths.SPOOL}/etc/resolv.conf ]
  }} || echo "stale=1"
fi
true
"""
_PACKAGE_LIST = f"""
set -- {" ".join(_PACKAGES)}
if command -v dpkg-query >/dev/null; then
  dpkg-query -W -f '${{Package}} ${{Architecture}} ${{Version}} ${{db:Status-Status}}\\n' "$@" 2>/dev/null
else
  rpm -q --qf '%{{NAME}} %{{ARCH}} %{{VERSION}} installed\\n' "$@" 2>/dev/null
fi
true
"""
_OTHER_QUEUE = """
set --
for queue in /var/spool/exim4/input /var/spool/mqueue /var/spool/nullmailer/queue /var/spool/dma /var/spool/smtpd/queue
do [ -d "$queue" ] && set -- "$@" "$queue"; done
[ $# = 0 ] || find "$@" -type f ! -name '*-D' ! -name '*-J' ! -name 'df*' ! -name 'M*' ! -name '.*' -printf x
"""


def observe_script(nonce: str) -> str:
    """POSIX sh, run as root. `nonce` (8 to 64 of A-Za-z0-9_-, else ValueError) comes back in the facts and salts the
    digests of files that are compared without being read back."""
    if not _NONCE.match(nonce):
        raise ValueError("a nonce has 8 to 64 letters, digits, hyphens or underscores")
    parts = {
        "nonce": f"printf %s {quote(nonce)}",
        "os": Content("/etc/os-release"),
        "system": _SYSTEM,
        "packages": _PACKAGE_LIST,
        "audit": "! command -v dpkg >/dev/null || dpkg --audit",
        "space": "stat -f -c '%a %S %d %c %n' / /etc /var /var/lib /var/spool",
        "listeners": """awk '$4 == "0A" && $2 ~ /:0019$/ { print $2 }' /proc/net/tcp /proc/net/tcp6 2>/dev/null""",
        "main.cf": Content(paths.MAIN_CF),
        "master.cf": Content(paths.MASTER_CF),
        "manifest": Content(paths.MANIFEST),
        "before": Content(f"{paths.BEFORE}/main.cf"),
        "record": f'for file in {paths.BEFORE}/*; do [ -e "$file" ] && echo "${{file##*/}}"; done',
        "added": Content(f"{paths.BEFORE}/packages"),
        "removed": Content(f"{paths.BEFORE}/removed"),
        "maps": _maps(nonce),
        "queue": _queue(),
        "waiting": waiting.script(_QUEUE_PATHS),
        "other-queue": _OTHER_QUEUE,
        "end": "echo end",
    }
    head = "LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\nexport LC_ALL PATH\n"
    return head + section_script(parts)


def _maps(nonce: str) -> str:
    """Per directory: what is in it and sha256(nonce + all contents in name order), so a secret is never read back; then
    the same with the directory's name, which the record of whoever wrote it knows."""
    return textwrap.dedent(f"""
        for directory in {paths.MAPS}/*/; do
          [ -d "$directory" ] || continue
          name=${{directory%/}}; name=${{name##*/}}
          stat -c '%F|%a|%U|%s|%n' "${{directory%/}}" "$directory"*
          {{ printf %s {nonce}; cat "$directory"*; }} 2>/dev/null | sha256sum
          {{ printf %s "$name"; cat "$directory"*; }} 2>/dev/null | sha256sum
        done
    """)


def _queue() -> str:
    count = "awk 'NR == 1 || $1 < oldest { oldest = $1 } END { print NR, oldest }'"
    return f"[ ! -d {paths.SPOOL}/deferred ] || find {_QUEUE_PATHS} -type f -printf '%T@\\n' 2>/dev/null | {count}"
