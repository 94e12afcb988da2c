"""``labcoat watch init``: a commented example site to begin with."""

from __future__ import annotations

from pathlib import Path

import click

from labcoat.errors import UsageError


@click.command(short_help="Write a commented example site to begin with.")
@click.argument("folder", type=click.Path(path_type=Path), default=Path())
def command(folder: Path) -> None:
    """Write a commented example site into FOLDER (default: here).

    config.yml, two runbooks in labcoat mode, and sample scripts that tell people by mail,
    webhook and chat. Nothing is overwritten: if any of the files is there, none is written.
    The site only advises until its mode says act.
    """
    from labcoat.watch.shipped import SITE, files

    there = [folder / name for name in files() if (folder / name).exists()]
    if there:
        raise UsageError(
            f"{len(there)} of the example's files are there already; none was written",
            where=there[0],
            way_out="name another folder: labcoat watch init FOLDER",
        )
    for name in files():
        path, shipped = folder / name, SITE / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as stream:
            stream.write(shipped.read_bytes())
        path.chmod(0o755 if shipped.suffix == ".sh" else 0o644)
        click.echo(f"written: {path}")
    here = "" if folder == Path() else f"cd {folder} && "
    click.echo(f"next: {here}labcoat watch check", err=True)
