"""Facts of a target, collected by POSIX sh; nothing has to be installed there.

``hostname``, ``os``, ``kernel``, ``network.<interface>.{v4,v6}``, ``services.<name>`` and
``ping``, as Automatron has them; merged flat with what executables under
``<plugin_path>/vetting/{ontarget,remote}`` print as JSON. All of it comes from the target
and is believed only as data.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
from pathlib import Path
from typing import Any

from labcoat.watch.engine.executing import PLAIN
from labcoat.watch.engine.targets import Target
from labcoat.watch.reach.base import Order, PluginFile, Reach

TIMEOUT_S = 30.0
MOST = 2000  # lines that are believed of one target
SCRIPT = r"""
echo "hostname $(hostname 2>/dev/null || uname -n)"
echo "os $(uname -s)"
echo "kernel $(uname -r)"
if command -v ip >/dev/null 2>&1; then
  ip -o addr show 2>/dev/null | while read -r _ name family address _; do
    case $family in
      inet) echo "v4 $name ${address%%/*}";;
      inet6) echo "v6 $name ${address%%/*}";;
    esac
  done
elif command -v ifconfig >/dev/null 2>&1; then
  ifconfig -a 2>/dev/null | awk '
    /^[^ \t]/ { sub(/:.*/, "", $1); name = $1 }
    $1 == "inet" { sub(/addr:/, "", $2); print "v4", name, $2 }
    $1 == "inet6" { address = ($2 == "addr:") ? $3 : $2; sub(/[\/%].*/, "", address)
                    print "v6", name, address }'
fi
if [ -d /run/systemd/system ]; then
  systemctl list-units --type=service --all --plain --no-legend --no-pager 2>/dev/null |
    while read -r unit _ _ state _; do echo "service ${unit%.service} $state"; done
elif command -v service >/dev/null 2>&1; then
  service --status-all 2>/dev/null | while read -r _ mark _ name; do
    case $mark in +) echo "service $name running";; -) echo "service $name stopped";;
      *) echo "service $name unknown";; esac
  done
fi
exit 0
"""


async def vet(
    target: Target, reach: Reach, local: Reach, plugin_path: Path | None
) -> dict[str, Any] | None:
    """The facts, or None if the target does not answer."""
    answer = await reach.execute(Order(command=SCRIPT, timeout_s=TIMEOUT_S, environment=PLAIN))
    if answer.exit_status is None:
        return None
    facts = parsed(answer.stdout)
    facts["ping"] = await _answers_ping(target, local)
    for file in _plugins(plugin_path, "ontarget"):
        facts |= _merged(await reach.execute(_there(file)))
    address = target.address or "127.0.0.1"
    for file in _plugins(plugin_path, "remote"):
        command = f"{shlex.quote(str(file))} {shlex.quote(address)}"
        order = Order(command=command, timeout_s=TIMEOUT_S, environment=PLAIN)
        facts |= _merged(await local.execute(order))
    return facts


def parsed(output: str) -> dict[str, Any]:
    """The script's lines as facts; what is odd is left out."""
    facts: dict[str, Any] = {"hostname": "", "os": "", "kernel": "", "network": {}, "services": {}}
    for line in output.splitlines()[:MOST]:
        match line.split():
            case [("hostname" | "os" | "kernel") as name, text]:
                facts[name] = text
            case [("v4" | "v6") as family, interface, address]:
                known = facts["network"].setdefault(interface, {"v4": [], "v6": []})
                known[family].append(address)
            case ["service", name, state]:
                facts["services"][name] = state
    return facts


async def _answers_ping(target: Target, local: Reach) -> bool:
    if target.address is None:
        return True
    host = target.address.rpartition("@")[2]
    order = Order(command=f"ping -c 1 -W 2 {shlex.quote(host)} >/dev/null 2>&1", timeout_s=10.0)
    return (await local.execute(order)).exit_status == 0


def _plugins(plugin_path: Path | None, folder: str) -> list[Path]:
    if plugin_path is None:
        return []
    found = sorted((plugin_path / "vetting" / folder).glob("*"))
    return [file for file in found if file.is_file() and os.access(file, os.X_OK)]


def _there(file: Path) -> Order:
    content = file.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    plugin = PluginFile(name=file.name, content=content, sha256=digest)
    return Order(command="", plugin=plugin, timeout_s=TIMEOUT_S, environment=PLAIN)


def _merged(answer: Any) -> dict[str, Any]:
    """The JSON object that a vetting plugin printed; nothing if it printed none."""
    if answer.exit_status != 0:
        return {}
    try:
        document = json.loads(answer.stdout)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}
