"""config.yml: what Automatron's file says that still has a meaning, and our own section.

Paths in it are relative to its folder, or to the one above where that folder is called
``config``, as in Automatron's own tree.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from labcoat.watch.heal.site import Site
from labcoat.watch.model.finding import Finding
from labcoat.watch.model.runbook import Mode, Semantics
from labcoat.watch.runbook import reading, tree
from labcoat.watch.runbook.report import WHOLE_FILE, Report, ordered
from labcoat.watch.runbook.site_watch import Watched, watched
from labcoat.watch.runbook.source import read_text

NAMES = ("config.yml", "config/config.yml")
DEFAULT = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """Credentials by one name. ``key``: a private key's text, kept in memory only."""

    user: str | None = None
    key: str | None = field(default=None, repr=False)
    key_file: Path | None = None
    gateway: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteFile:
    """config.yml, read. ``file``: None where there is none, and all is as by default."""

    file: Path | None
    folder: Path
    runbook_path: Path
    plugin_path: Path
    upload_path_monitoring: str = "/tmp"  # noqa: S108 - Automatron's default, on the target
    upload_path_actioning: str = "/tmp"  # noqa: S108 - as above
    credentials: Mapping[str, Login] = field(default_factory=dict)
    hosts: tuple[str, ...] = ()
    watch: Watched = field(default_factory=Watched)
    findings: tuple[Finding, ...] = ()

    @property
    def semantics(self) -> Semantics:
        """Of runbooks that do not say it."""
        return self.watch.semantics


def find_site(folder: Path) -> Path | None:
    """The configuration of a folder, where it has one."""
    return next((folder / name for name in NAMES if (folder / name).is_file()), None)


def read_site(file: Path) -> SiteFile:
    """A configuration with everything that is wrong with it in ``findings``."""
    report = Report(str(file))
    folder = base_of(file)
    try:
        text = read_text(file)
    except (OSError, ValueError) as error:
        said = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
        report.add(
            "E107", WHOLE_FILE, f"{file} cannot be read: {said}", "labcoat watch init writes one"
        )
        return bare(file, folder, report)
    return site_of_text(text, file, folder, report)


def site_of_text(text: str, file: Path, folder: Path, report: Report) -> SiteFile:
    """A configuration's text."""
    parsed = tree.parse(text)
    tree.told(parsed, report, lambda line: line)
    root = parsed.root
    if root is None and not parsed.flaws:
        root = tree.Table(1, 1, ())
    if not isinstance(root, tree.Table):
        if root is not None:
            report.add("E113", root, "config.yml is no mapping", "labcoat watch init writes one")
        return bare(file, folder, report)
    return SiteFile(
        file=file,
        folder=folder,
        runbook_path=path_at(root, "runbook_path", folder, "runbooks", report),
        plugin_path=path_at(root, "plugin_path", folder, "plugins", report),
        upload_path_monitoring=upload_path(root, "monitoring", report),
        upload_path_actioning=upload_path(root, "actioning", report),
        credentials=credentials(root, folder, report),
        hosts=roster(root, report),
        watch=watched(root, folder, report),
        findings=ordered(report.findings),
    )


def base_of(file: Path) -> Path:
    """Where relative paths start."""
    folder = file.resolve().parent
    return folder.parent if folder.name == "config" else folder


def bare(file: Path | None, folder: Path, report: Report | None = None) -> SiteFile:
    """Everything as by default."""
    return SiteFile(
        file=file,
        folder=folder,
        runbook_path=folder / "runbooks",
        plugin_path=folder / "plugins",
        findings=() if report is None else ordered(report.findings),
    )


def inner(root: tree.Table, key: str, report: Report) -> tree.Table | None:
    """A mapping within; None where it is missing or empty."""
    entry = root.get(key)
    if entry is None or (isinstance(entry.value, tree.Leaf) and entry.value.value is None):
        return None
    return reading.table(entry, report)


def path_at(root: tree.Table, key: str, folder: Path, default: str, report: Report) -> Path:
    return folder / Path(reading.text(root, key, report) or default).expanduser()


def upload_path(root: tree.Table, section: str, report: Report) -> str:
    found = inner(root, section, report)
    written = None if found is None else reading.text(found, "upload_path", report)
    return written or "/tmp"  # noqa: S108 - Automatron's default, on the target


def credentials(root: tree.Table, folder: Path, report: Report) -> dict[str, Login]:
    """Those of ``credentials``, by name; ``ssh`` is the default one, and wins."""
    found = inner(root, "credentials", report)
    logins: dict[str, Login] = {}
    for entry in found.entries if found is not None else ():
        login = reading.table(entry, report)
        if login is not None:
            logins[entry.key] = login_of(login, folder, report)
    ssh = inner(root, "ssh", report)
    if ssh is not None:
        logins[DEFAULT] = login_of(ssh, folder, report)
    return logins


def login_of(found: tree.Table, folder: Path, report: Report) -> Login:
    """User, key, gateway. ``gateway: False`` is none, as in Automatron's example."""
    key = reading.text(found, "key", report)
    entry = found.get("key")
    if key is not None and entry is not None:
        report.add("W230", entry, "a private key stands in the configuration")
    gateway = found.get("gateway")
    off = gateway is None or (isinstance(gateway.value, tree.Leaf) and not gateway.value.value)
    key_file = reading.text(found, "key_file", report)
    return Login(
        user=reading.text(found, "user", report),
        key=key,
        key_file=None if key_file is None else folder / Path(key_file).expanduser(),
        gateway=None if off else reading.text(found, "gateway", report),
    )


def roster(root: tree.Table, report: Report) -> tuple[str, ...]:
    """``discovery.plugins.roster.hosts``."""
    found: tree.Table | None = root
    for key in ("discovery", "plugins", "roster"):
        found = None if found is None else inner(found, key, report)
    entry = None if found is None else found.get("hosts")
    if entry is None:
        return ()
    nodes = entry.value.items if isinstance(entry.value, tree.Items) else (entry.value,)
    return tuple(node.text for node in nodes if isinstance(node, tree.Leaf) and node.value)


def site_of(
    site: SiteFile,
    *,
    targets: int,
    group_sizes: Mapping[str, int],
    forced: Mode | None = None,
) -> Site:
    """The rules of healing, for so many targets."""
    return Site(
        mode=site.watch.mode,
        modes=site.watch.modes,
        forced=forced,
        targets=targets,
        group_sizes=group_sizes,
        rate=site.watch.rate,
        maintenance=site.watch.maintenance,
    )
