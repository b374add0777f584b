"""Installing and removing packages: nothing else on the server is touched, no foreign configuration ever starts."""

from gateway.postfix import paths
from gateway.postfix.distro import Distro
from servers.remote.command import shell
from servers.remote.plan import Step

_APT = f"""umask 022
B={paths.BEFORE}
export LC_ALL=C DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 APT_LISTCHANGES_FRONTEND=none
apt() {{
  apt-get -q -y --no-install-recommends -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 \\
    -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold "$@" </dev/null
}}
fetch() {{ apt install "$@" || {{ apt update && apt install "$@"; }}; }}
there() {{ dpkg-query -W -f '${{db:Status-Status}}' "$1" 2>/dev/null | grep -qx installed; }}
note() {{ cat "$B/$1" - 2>/dev/null | sort -u >"$B/$1.new" && mv "$B/$1.new" "$B/$1"; }}
"""
_GIVE_BACK = """ours() { grep -vx -e ca-certificates -e openssl "$B/packages" 2>/dev/null || :; }
others() { # names on stdin that are not among the arguments
  while read -r name; do case " $* " in *" $name "*) ;; *) echo "$name";; esac; done
}
along() { # what would go besides the arguments
  apt -s purge "$@" | sed -n 's/^\\(Remv\\|Purg\\) \\([^ ]*\\).*/\\2/p' | others "$@"
}
give_back() { # everything we installed goes, or Postfix alone where something has come to need the rest
  set -- postfix $(ours)
  [ -z "$(along "$@")" ] || set -- postfix
  extra=$(along "$@")
  [ -z "$extra" ] || { echo "These packages need a mail system and would go too:" $extra; return 1; }
  apt purge "$@"
}
"""
# What a saved mail system needs besides its packages. Its queue stays where it is: it is removed, not purged.
_MTA_FILES = (
    "etc/exim4 etc/default/exim4 etc/email-addresses etc/mailname etc/aliases etc/msmtprc etc/ssmtp etc/nullmailer "
    "etc/dma etc/mail etc/smtpd.conf etc/courier"
)


def install(distro: Distro, missing: tuple[str, ...], mtas: tuple[str, ...]) -> Step:
    """`missing` gets installed; `mtas` (with what hangs on them) may be removed for it, nothing else may."""
    show = [shell("apt-get" if distro.manager == "apt" else "dnf", "install", *missing)]
    return Step(
        slug="packages",
        title="Install packages" if not mtas else f"Replace {', '.join(mtas)} by Postfix",
        do=_apt_install(distro, missing, mtas) if distro.manager == "apt" else _dnf_install(missing),
        undo=_apt_undo(distro) if distro.manager == "apt" else "",
        show=tuple(show),
        limit=1200,
    )


def remove(distro: Distro, *, purge_queue: bool, mtas: tuple[str, ...]) -> Step:
    """Takes away what our install brought and puts back what it took; stops when mail has come into the queue."""
    title = "Remove Postfix" if not mtas else f"Put {', '.join(mtas)} back in place of Postfix"
    show = [shell("apt-get", "install", *mtas)] if mtas else []
    return Step(
        slug="packages",
        title=title,
        do=_queue_guard(purge_queue) + (_APT_REMOVE if distro.manager == "apt" else _DNF_REMOVE),
        undo=_APT_REMOVE_UNDO if distro.manager == "apt" else "",
        show=(*show, "apt-get purge postfix" if distro.manager == "apt" else "dnf remove postfix"),
        limit=1200,
    )


def remove_extra(distro: Distro) -> Step:
    """On a server whose Postfix stays: the packages we added to it go, if nothing needs them."""
    do = (
        _APT + _GIVE_BACK + "set -- $(ours)\n"
        '[ $# != 0 ] || { echo "::unchanged"; exit 0; }\n'
        'extra=$(along "$@")\n'
        'if [ -n "$extra" ]; then echo "kept, because these need it:" $extra; else apt purge "$@"; fi\n'
    )
    return Step("extra", "Remove added packages", do if distro.manager == "apt" else "echo ::unchanged", limit=600)


def _apt_install(distro: Distro, missing: tuple[str, ...], mtas: tuple[str, ...]) -> str:
    names = " ".join(missing)
    masks = " ".join(distro.mask) if "postfix" in missing else ""
    allowed = "|".join(f"{name.partition('-')[0]}*" for name in mtas) or "-"
    return f"""{_APT}
for name in {names}; do there "$name" || lacking=1; done
[ -n "${{lacking:-}}" ] || {{ echo "::unchanged"; exit 0; }}
would=$(apt -s install {names}) || {{ apt update; would=$(apt -s install {names}); }}
goes=$(printf '%s\\n' "$would" | sed -n 's/^Remv \\([^ ]*\\).*/\\1/p')
for name in $goes; do
  case $name in {allowed}) ;; *) echo "Installing would also remove: $name"; exit 1;; esac
done
mkdir -p "$B"
printf '%s\\n' "$would" | sed -n 's/^Inst \\([^ ]*\\) (.*/\\1/p' | note packages
if [ -n "$goes" ]; then
  printf '%s\\n' $goes | note removed
  (cd / && tar -cf "$B/mta.tar" $(ls -d {_MTA_FILES} 2>/dev/null))
fi
{_PRESEED if masks else ""}
mkdir -p /run/systemd/system
for unit in {masks or "''"}; do [ -z "$unit" ] || ln -sfn /dev/null "/run/systemd/system/$unit"; done
fetch {names} || failed=1
{_unmask(distro)}
[ -z "${{failed:-}}" ]
[ ! -e "$B/aliases.absent" ] || [ ! -e /etc/aliases ] || cp -p /etc/aliases "$B/aliases.made"
"""


# "No configuration" leaves main.cf to us; the masks keep the packages' scripts from starting anything meanwhile.
_PRESEED = "echo 'postfix postfix/main_mailer_type select No configuration' | debconf-set-selections"


def _unmask(distro: Distro) -> str:
    links = " ".join(f"/run/systemd/system/{unit}" for unit in distro.mask)
    return f"for link in {links}; do [ ! -L $link ] || rm $link; done\nsystemctl daemon-reload"


def _apt_undo(distro: Distro) -> str:
    """A mail system that was replaced returns. Otherwise the packages stay: nothing runs, and the next try is quick."""
    return f"""{_APT}{_GIVE_BACK}
{_unmask(distro)}
if [ -s "$B/removed" ]; then
  fetch $(cat "$B/removed")
  [ ! -e "$B/mta.tar" ] || tar -C / --skip-old-files -xf "$B/mta.tar"
  give_back
  rm -rf "$B"
fi
"""


def _queue_guard(purge_queue: bool) -> str:
    if purge_queue:
        return ""
    queues = " ".join(f"{paths.SPOOL}/{name}" for name in ("deferred", "active", "incoming", "hold", "maildrop"))
    return f"""systemctl stop postfix
if [ -n "$(find {queues} -type f 2>/dev/null | head -n 1)" ]; then
  systemctl start postfix
  echo "Mail came into the queue meanwhile; nothing was removed."; exit 1
fi
"""


_APT_REMOVE = f"""{_APT}{_GIVE_BACK}
U={paths.UNDO}; rm -rf "$U"; mkdir -p "$U"
(cd / && tar -cf "$U/etc.tar" $(ls -d etc/postfix etc/aliases etc/aliases.db 2>/dev/null))
[ ! -s "$B/removed" ] || fetch $(cat "$B/removed")
give_back
if [ -e "$B/aliases.made" ] && cmp -s "$B/aliases.made" /etc/aliases; then rm -f /etc/aliases /etc/aliases.db; fi
[ ! -e "$B/mta.tar" ] || tar -C / --skip-old-files -xf "$B/mta.tar"
systemctl reset-failed 'postfix*' || :
"""
_APT_REMOVE_UNDO = f"""{_APT}
U={paths.UNDO}
if [ -e "$U/etc.tar" ]; then
  there postfix || fetch postfix
  tar -C / -xf "$U/etc.tar"
  systemctl restart postfix
fi
"""


def _dnf_install(missing: tuple[str, ...]) -> str:
    names = " ".join(missing)
    return f"""umask 022
B={paths.BEFORE}
export LC_ALL=C
mkdir -p "$B"
for name in {names}; do rpm -q "$name" >/dev/null || echo "$name"; done >"$B/packages"
[ -s "$B/packages" ] || {{ echo "::unchanged"; exit 0; }}
fresh=; ! grep -qx postfix "$B/packages" || fresh=1
dnf -y -q install $(cat "$B/packages") </dev/null
[ -z "$fresh" ] || mv {paths.MAIN_CF} "$B/main.cf.package"
"""


_DNF_REMOVE = f"""dnf -y -q remove $(grep -vx ca-certificates {paths.BEFORE}/packages) </dev/null
"""
