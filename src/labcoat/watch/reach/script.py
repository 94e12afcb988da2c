"""The framing script: what is really sent to a place's shell, and why it is safe there.

A login shell of any kind (sh, csh, fish) is given one constant line, ``LAUNCH``, which
reads a POSIX script from its input and evaluates it. So no quoting rule but our own
counts, and neither a command nor a secret stands in a process list because of us.

The script first prints a marker line with its process id, the leader of the process
group to kill, and what became of the token:

    ln token run/<attempt id>      atomic; works on a full disk; survives a reboot
    <the command>
    ln token run/<attempt id>.rc<N>

The private directory lies in the login user's home; ``/dev/shm`` and the user's runtime
directory are emptied at logout.
"""

from __future__ import annotations

import base64
import re
import shlex

from labcoat.watch.reach.base import Order, PluginFile

LAUNCH = """exec /bin/sh -c 'eval "$(cat)"'"""
HOME = "${HOME:-/nonexistent}/.labcoat-watch"
ATTEMPT_ID = re.compile(r"[0-9a-z][0-9a-z.-]{0,63}")
NAME = re.compile(r"[^A-Za-z0-9._-]")
KEPT_DAYS = 60
LAID_ANEW = 252  # the plugin is not there, or is not what it was


def framed(order: Order, nonce: str) -> str:
    """The script of an order. Raises: ValueError for an attempt id with odd letters."""
    lines = [f'labcoat_dir="{HOME}"']
    command = shlex.quote(order.command)
    if order.plugin is not None:
        lines += [_verified(order.plugin, nonce)]
        command = shlex.quote('exec "$0" ' + order.command) + ' "$labcoat_file"'
    lines += [f"export {name}={shlex.quote(text)}" for name, text in order.environment.items()]
    become = ""
    if order.as_root:
        kept = ",".join(order.environment)
        become = f"sudo -n{f' --preserve-env={kept}' if kept else ''} -- "
    run = f"{become}/bin/sh -c {command}"
    given = "</dev/null"
    if order.stdin:
        lines.append(f"labcoat_input={shlex.quote(order.stdin)}")
        run = f'printf %s "$labcoat_input" | {run}'
        given = ""
    if order.attempt is None:
        lines.append(_marker(nonce, "free"))
        lines.append(f"{run} {given}" if order.stdin else f"exec {run} {given}")
    else:
        lines += _once(order.attempt, nonce, f"{run} {given}")
    return "\n".join(lines) + "\n"


def spelled_out(script: str) -> str:
    """A script as one line of letters that mean the same to every login shell.

    For a terminal, whose input would be echoed and edited.
    """
    encoded = base64.b64encode(script.encode()).decode()
    return f"""exec /bin/sh -c 'eval "$(echo {encoded} | base64 -d)"'"""


def _marker(nonce: str, mark: str) -> str:
    return f"printf '\\n%s %s %s\\n' {nonce} $$ {mark}"


def _once(attempt: str, nonce: str, run: str) -> list[str]:
    if ATTEMPT_ID.fullmatch(attempt) is None:
        raise ValueError(f"no attempt id: {attempt!r}")
    return [
        f'labcoat_mark="$labcoat_dir/run/{attempt}"',
        f"export LABCOAT_ATTEMPT={attempt}",
        'if ln "$labcoat_dir/token" "$labcoat_mark" 2>/dev/null; then',
        f"  {_marker(nonce, 'taken')}",
        'elif [ -e "$labcoat_mark" ]; then',
        f"  {_marker(nonce, 'exists')}; exit 250",
        "else",
        f"  {_marker(nonce, 'failed')}; exit 251",
        "fi",
        run,
        "labcoat_rc=$?",
        'ln "$labcoat_dir/token" "$labcoat_mark.rc$labcoat_rc"',
        "exit $labcoat_rc",
    ]


def _file_of(plugin: PluginFile) -> str:
    return f'"$labcoat_dir/plugins/{plugin.sha256}/{NAME.sub("_", plugin.name)}"'


def _verified(plugin: PluginFile, nonce: str) -> str:
    """The plugin's path into ``$labcoat_file``, unless its content is not what it was."""
    return "\n".join(
        (
            f"labcoat_file={_file_of(plugin)}",
            f"""if ! printf '%s  %s\\n' {plugin.sha256} "$labcoat_file" |""",
            "  sha256sum -c >/dev/null 2>&1; then",
            f"  {_marker(nonce, 'free')}; exit {LAID_ANEW}",
            "fi",
        )
    )


def lays_down(plugin: PluginFile) -> str:
    """A command that writes the plugin into the private directory, whole or not at all."""
    encoded = base64.encodebytes(plugin.content).decode()
    return "\n".join(
        (
            "umask 077",
            f'labcoat_dir="{HOME}"',
            f"labcoat_file={_file_of(plugin)}",
            'mkdir -p "${labcoat_file%/*}" || exit 1',
            "base64 -d >\"$labcoat_file.$$\" <<'labcoat-end' || exit 1",
            f"{encoded}labcoat-end",
            'chmod 0700 "$labcoat_file.$$" && mv -f "$labcoat_file.$$" "$labcoat_file"',
        )
    )


PREPARE = f"""umask 077
d="{HOME}"
mkdir -p "$d/run" && chmod 0700 "$d" "$d/run" || exit 1
[ -e "$d/token" ] || : >"$d/token" || exit 1
find "$d/run" -type f -ctime +{KEPT_DAYS} -exec rm -f {{}} + 2>/dev/null
cat /proc/sys/kernel/random/boot_id 2>/dev/null || sysctl -n kern.boottime
"""
"""Makes the private directory and its token, forgets old marks, prints the boot id."""


def inquires(attempt: str) -> str:
    """A command that tells what became of an attempt, and bars it if it never began.

    Prints ``barred``, ``rc N``, ``alone`` or ``gone``; then the boot id. A second mark
    tells the next who asks that it was a question that made the first: the watch may be
    killed between the answer and the entry about it.
    """
    if ATTEMPT_ID.fullmatch(attempt) is None:
        raise ValueError(f"no attempt id: {attempt!r}")
    return f"""d="{HOME}"; m="$d/run/{attempt}"
if ln "$d/token" "$m" 2>/dev/null; then ln "$d/token" "$m.barred"; echo barred
elif [ -e "$m.barred" ]; then echo barred
elif [ -e "$m" ]; then
  set -- "$m".rc*
  if [ -e "$1" ]; then echo "rc ${{1##*.rc}}"; else echo alone; fi
else echo gone; fi
cat /proc/sys/kernel/random/boot_id 2>/dev/null || sysctl -n kern.boottime
"""


def kills(pid: int, *, as_root: bool) -> str:
    """A command that ends a process group: asked first, made to a second later."""
    become = "sudo -n " if as_root else ""
    group = f"-{pid} 2>/dev/null"
    return (
        f"{become}kill -TERM {group}; "
        f"for i in 1 2 3 4 5 6 7 8 9 10; do {become}kill -0 {group} || exit 0; sleep 0.1; done; "
        f"{become}kill -KILL {group}; exit 0"
    )
