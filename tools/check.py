"""Every check of the sources, one after the other; all of them speak before any fails.

python tools/check.py [NAME ...]        without names: all
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYTHON = sys.executable
BIN = Path(PYTHON).parent

CHECKS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("lint", (PYTHON, "-m", "ruff", "check", "--quiet", ".")),
    ("format", (PYTHON, "-m", "ruff", "format", "--quiet", "--check", ".")),
    ("types", (PYTHON, "-m", "mypy", "--no-error-summary")),
    ("layers", (str(BIN / "lint-imports"), "--no-logo")),
    ("spelling", (str(BIN / "codespell"),)),
    ("pages", (PYTHON, "docs/generate.py", "--check")),
)


def main(names: list[str]) -> int:
    """Exit status: 0 when every check that was asked for is content."""
    unknown = set(names) - {name for name, _ in CHECKS}
    if unknown:
        print(f"error: unknown check {', '.join(sorted(unknown))}", file=sys.stderr)
        return 2
    failed = []
    for name, argv in CHECKS:
        if names and name not in names:
            continue
        started = time.monotonic()
        completed = subprocess.run(
            argv, cwd=ROOT, check=False, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        verdict = "ok" if completed.returncode == 0 else "FAILED"
        print(f"{name:<9} {verdict:<6} {time.monotonic() - started:5.1f} s", flush=True)
        if completed.returncode != 0:
            failed.append(name)
            print(completed.stdout.rstrip(), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
