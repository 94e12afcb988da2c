"""config.yml, as the engine needs it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from labcoat.errors import UsageError
from labcoat.watch.engine.discovery import Discovery
from labcoat.watch.engine.folder_shelf import FolderShelf
from labcoat.watch.engine.reaching import placed
from labcoat.watch.engine.settings import FOLDER, Settings
from labcoat.watch.engine.trusting import KNOWN_HOSTS
from labcoat.watch.heal.site import Site
from labcoat.watch.model.finding import Finding
from labcoat.watch.model.runbook import Mode
from labcoat.watch.reach.place import Place, SshSettings
from labcoat.watch.runbook.defaults import Defaults
from labcoat.watch.runbook.site_file import (
    NAMES,
    Login,
    SiteFile,
    find_site,
    read_site,
    site_of,
)

JOURNAL = "journal.db"
USERS_KNOWN_HOSTS = Path("~/.ssh/known_hosts")
USERS_CONFIG = Path("~/.ssh/config")
SYSTEMS_KNOWN_HOSTS = Path("/etc/ssh/ssh_known_hosts")


def read_settings(
    config: Path | None, here: Path, *, forced: Mode | None = None
) -> tuple[Settings, FolderShelf, tuple[Finding, ...]]:
    """Settings, runbooks, and what is odd in the configuration.

    Raises: UsageError with every mistake, or if there is no configuration.
    """
    file = config or find_site(here)
    if file is None:
        raise UsageError(
            f"there is no {NAMES[0]} here",
            where=here,
            way_out="labcoat watch init writes one, or name it: --config FILE",
        )
    site = read_site(file)
    errors = [str(finding) for finding in site.findings if finding.is_error]
    if errors:
        raise UsageError(
            f"the watch's configuration has {len(errors)} mistake{'s' if errors[1:] else ''}",
            where=file,
            way_out="mend each of them; labcoat watch check looks at the runbooks as well",
            log=errors,
        )
    return _settings(site, forced), _shelf(site), site.findings


def _settings(site: SiteFile, forced: Mode | None) -> Settings:
    folder = site.folder / FOLDER
    watch = site.watch
    journal: Path | str = folder / JOURNAL
    if watch.journal is not None:
        is_url = "://" in watch.journal
        journal = watch.journal if is_url else site.folder / Path(watch.journal).expanduser()

    def rules(targets: int, group_sizes: Mapping[str, int]) -> Site:
        return site_of(site, targets=targets, group_sizes=group_sizes, forced=forced)

    known = (USERS_KNOWN_HOSTS if watch.known_hosts is None else watch.known_hosts).expanduser()
    return Settings(
        folder=folder,
        journal=journal,
        runbook_path=site.runbook_path,
        plugin_path=site.plugin_path,
        site=rules,
        logins={name: _login(login) for name, login in site.credentials.items()},
        ssh=SshSettings(
            known_hosts=(folder / KNOWN_HOSTS, known, SYSTEMS_KNOWN_HOSTS),
            config=(USERS_CONFIG.expanduser(),),
        ),
        port=watch.port,
        discovery=Discovery(
            hosts=site.hosts,
            ssh_config=watch.ssh_config,
            dns=watch.dns,
            command=watch.command,
            local=watch.local,
            every_s=watch.every_s,
        ),
        spread_s=watch.spread_s,
        sentinels=watch.sentinels,
    )


def _login(login: Login) -> Place:
    """Credentials as a place without its host; the gateway is reached with the same keys."""
    keys = () if login.key_file is None else (login.key_file,)
    plain = Place(host="", user=login.user, keys=keys, key_text=login.key)
    if login.gateway is None:
        return plain
    return Place(
        host="",
        user=login.user,
        keys=keys,
        key_text=login.key,
        gateway=placed(login.gateway, plain, None),
    )


def _shelf(site: SiteFile) -> FolderShelf:
    defaults = Defaults(semantics=site.semantics, plugin_path=site.plugin_path)
    return FolderShelf(site.runbook_path, defaults)
