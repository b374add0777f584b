"""The steps that write: a copy of what was there, the maps, main.cf. Each can be run twice and undone."""

from gateway.postfix import paths
from gateway.postfix.files import Maps
from gateway.postfix.manifest import Manifest
from servers.remote.plan import File, Step

_STAGED = f"{paths.CONFIG}/.main.cf.fleetpost"
# Every Postfix program sleeps a second or two over a file changed just now, for fear that it is half written.
_AGE = "touch -d '10 seconds ago'"


def keep(refreshed: bytes | None = None) -> Step:
    """Copies main.cf and master.cf as they were before us. `refreshed`: what main.cf would be without us by now, when a
    person has edited it since; it takes the copy's place."""
    if refreshed is not None:
        return Step(
            slug="keep",
            title="Keep a copy of what was there",
            do=f'umask 077; N={paths.BEFORE}/main.cf; cat "$FILES/0" >"$N.new"; mv "$N.new" "$N"',
            files=(File(f"{paths.BEFORE}/main.cf", refreshed, 0o600),),
            show=(f"edit {paths.BEFORE}/main.cf",),
        )
    return Step(
        slug="keep",
        title="Keep a copy of what was there",
        do=f"""umask 077
B={paths.BEFORE}
mkdir -p "$B"
for name in main.cf master.cf; do
  [ ! -e {paths.CONFIG}/$name ] || [ -e "$B/packages" ] || cp -pL {paths.CONFIG}/$name "$B/$name"
done
[ -e /etc/aliases ] || [ -e "$B/packages" ] || : >"$B/aliases.absent"
""",
        # What an earlier try installed stays on record, or a later uninstall would not know it is ours.
        undo=f'B={paths.BEFORE}; [ -s "$B/packages" ] || rm -rf "$B"',
        show=(f"cp -p {paths.MAIN_CF} {paths.MASTER_CF} {paths.BEFORE}/",),
    )


def write_maps(maps: Maps) -> Step:
    """The whole directory appears by one rename; the directory it replaces stays until the end."""
    moves = "\n".join(
        f'cat "$FILES/{number}" >"$D/.new/{file.path.rpartition("/")[2]}"' for number, file in enumerate(maps.files())
    )
    return Step(
        slug="maps",
        title="Write the tables",
        do=f"""umask 077
D={paths.MAPS}; G={maps.directory}
mkdir -p "$D"; chmod 0755 "$D"
rm -rf "$D/.new"; mkdir "$D/.new"
{moves}
{_AGE} "$D/.new/"*
if [ -e "$G" ] && [ ! -e "$G.old" ]; then mv -T "$G" "$G.old"; fi
rm -rf "$G"; sync; mv -T "$D/.new" "$G"
""",
        undo=f"""G={maps.directory}
rm -rf {paths.MAPS}/.new "$G"
[ ! -e "$G.old" ] || mv -T "$G.old" "$G"
rmdir {paths.MAPS} 2>/dev/null || :
""",
        files=maps.files(),
        show=tuple(f"write {file.path} (0600)" for file in maps.files()),
    )


def check(text: bytes, settings: dict[str, str], *, values_only: bool = False) -> Step:
    """Postfix reads the new main.cf in a directory aside. `postfix check` exits 0 on unknown parameters, so anything on
    stderr that the present configuration does not also say is a failure, and every value is read back.

    values_only: for a Postfix that already runs on a configuration of ours. Of what `postfix check` finds only a fatal
    value can be new there, and `postmap` dies of those as well, in a fortieth of the time.
    """
    names = " ".join(settings)
    fatal = "postmap{} -q x 'inline:{{x=y}}'" if values_only else "postfix{} check"
    aside, here = fatal.format(' -c "$T"'), fatal.format("")
    return Step(
        slug="check",
        title="Check the configuration",
        do=f"""umask 077
export LC_ALL=C
T={paths.STAGE}
rm -rf "$T"; mkdir -p "$T"; chmod 0755 "$T"
cat "$FILES/0" >"$T/main.cf"; cp {paths.MASTER_CF} "$T/master.cf"; chmod 0644 "$T"/*; {_AGE} "$T"/*
words() {{ sed -e "s#$T#@#g" -e 's#{paths.CONFIG}#@#g' -e 's/line [0-9]*/line/'; }}
{{ postconf -c "$T" -n || : >"$T/failed"; {aside} || : >"$T/failed"; }} \\
  2>&1 >/dev/null | words >"$T/said"
: >"$T/known"
if [ -s "$T/said" ] && [ -e {paths.MAIN_CF} ]; then
  {{ postconf -n; {here}; }} 2>&1 >/dev/null | words >"$T/known" || :
fi
if grep -vxFf "$T/known" "$T/said" || [ -e "$T/failed" ]; then
  echo "Postfix does not accept the new configuration."; exit 1
fi
postconf -c "$T" -h {names} >"$T/values"
if ! diff "$FILES/1" "$T/values"; then echo "Postfix reads other values than were written."; exit 1; fi
rm -rf "$T"
""",
        undo=f"rm -rf {paths.STAGE}",
        files=(
            File(f"{paths.STAGE}/main.cf", text),
            File(f"{paths.STAGE}/expected", "".join(f"{value}\n" for value in settings.values()).encode()),
        ),
        show=(f"postconf -c {paths.STAGE} -n", fatal.format(f" -c {paths.STAGE}")),
    )


def configure(text: bytes | None, observed: str, record: Manifest | None) -> Step:
    """main.cf becomes `text` in one rename (None: the copy from before us), if it still has the digest `observed`.

    record: the manifest that goes with it; None leaves the present one alone.
    """
    new = 'cat "$FILES/0"' if text is not None else f"cat {paths.BEFORE}/main.cf"
    files = [File(paths.MAIN_CF, text)] if text is not None else []
    manifest = ""
    if record is not None:
        new_record = f"{paths.MANIFEST}.new"
        manifest = f'cat "$FILES/{len(files)}" >{new_record}; sync {new_record}; mv {new_record} {paths.MANIFEST}'
        files.append(File(paths.MANIFEST, record.content(), 0o600))
    return Step(
        slug="configure",
        title="Write main.cf" if text is not None else "Put main.cf back as it was",
        do=f"""umask 077
C=$(readlink -f {paths.MAIN_CF}); N={_STAGED}; U={paths.UNDO}
rm -rf "$U"
have=absent; [ ! -e "$C" ] || have=$(sha256sum <"$C"); have=${{have%% *}}
{new} >"$N"
if [ "$have" != {observed} ] && ! cmp -s "$N" "$C"; then
  rm -f "$N"; echo "main.cf was edited since it was read; nothing was changed. Look at it and start again."; exit 1
fi
mkdir -p "$U"
[ ! -e "$C" ] || cp -p "$C" "$U/main.cf"
[ ! -e {paths.MANIFEST} ] || cp -p {paths.MANIFEST} "$U/manifest.json"
: >"$U/ready"
if [ -e "$C" ]; then chmod --reference="$C" "$N"; chown --reference="$C" "$N"; else chmod 0644 "$N"; fi
{_AGE} "$N"; sync "$N"
{manifest}
if [ ! -x /usr/sbin/restorecon ]; then :; else restorecon -F "$N"; fi
mv -f "$N" "$C"
""",
        undo=_UNDO_CONFIGURE,
        files=tuple(files),
        show=(f"mv {_STAGED} {paths.MAIN_CF}",),
    )


def put_back() -> Step:
    """Configuration files of a Postfix that had been removed before we came."""
    return Step(
        slug="configure",
        title="Put main.cf back as it was",
        do=f"""mkdir -p {paths.CONFIG}
for name in main.cf master.cf; do
  [ ! -e {paths.BEFORE}/$name ] || cp -p {paths.BEFORE}/$name {paths.CONFIG}/$name
done
""",
        show=(f"cp -p {paths.BEFORE}/main.cf {paths.MAIN_CF}",),
    )


_UNDO_CONFIGURE = f"""C=$(readlink -f {paths.MAIN_CF}); N={_STAGED}; U={paths.UNDO}
rm -f "$N" {paths.MANIFEST}.new
if [ -e "$U/ready" ]; then
  if [ -e "$U/manifest.json" ]; then cp -p "$U/manifest.json" {paths.MANIFEST}; else rm -f {paths.MANIFEST}; fi
  if [ -e "$U/main.cf" ]; then
    cp -p "$U/main.cf" "$N"; mv -f "$N" "$C"
    if [ -e "$U/restart" ]; then systemctl restart postfix; fi
    if [ ! -e "$U/restart" ] && [ ! -e "$U/stop" ]; then postfix reload 2>/dev/null || :; fi
  else
    rm -f "$C"
  fi
  rm -rf "$U"
fi
"""
