"""``labcoat watch trust``: know a host by its key."""

from __future__ import annotations

from pathlib import Path

import click

from labcoat.cli.options import json_option, print_document
from labcoat.cli.watch.site import config_option, folder_of, who

SCHEMA = 1


@click.command(short_help="Show a host's key, and trust it once you compared it.")
@click.argument("host")
@click.option("--yes", is_flag=True, help="Trust what is shown, without a question.")
@config_option
@json_option
def command(host: str, config: Path | None, *, yes: bool, as_json: bool) -> None:
    """Show the fingerprint of HOST (name or address, with :port if it is not 22) as it is
    now, and after your yes write the key into the watch's own known_hosts. Compare it with
    what the host itself says: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub.

    A key that has changed is not replaced: take the old line out yourself first.
    """
    from labcoat.watch.engine.trusting import offered, trust

    settings = folder_of(config)
    found = offered(host, settings)
    if not as_json:
        click.echo(f"{found.host} port {found.port}: {found.kind} {found.fingerprint}")
    agreed = yes or (not as_json and click.confirm("Is this what the host itself says?"))
    if agreed:
        trust(found, settings, by=who())
    if as_json:
        print_document(
            {
                "schema": SCHEMA,
                "host": found.host,
                "port": found.port,
                "kind": found.kind,
                "fingerprint": found.fingerprint,
                "trusted": agreed,
            }
        )
    elif agreed:
        click.echo(f"trusted from now on: {found.host}")
