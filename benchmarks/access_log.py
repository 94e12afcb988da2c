"""Lines of an access log that become a draft each second of CPU, and the memory that takes.

A synthetic log in nginx's combined format: ids, slugs, queries, a token in one request of
ten, tens of thousands of clients. Each size is read in a process of its own. Fails when four
times the lines take more than half as much memory again: it is to be bounded.
"""

from __future__ import annotations

import random
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from labcoat.workload.access_log import read_logs

SIZES = (250_000, 1_000_000)
GROWTH_LIMIT = 1.5
START = datetime(2026, 3, 1, tzinfo=UTC)
AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0"


def target(rng: random.Random, number: int) -> tuple[str, int]:
    """What is asked for, and the status of the answer."""
    draw = rng.random()
    if draw < 0.3:
        return f"/product/{rng.randint(1, 50_000)}", 200
    if draw < 0.5:
        return f"/department/{rng.randint(1, 20)}?page={rng.randint(1, 8)}", 200
    if draw < 0.6:
        word = int(rng.paretovariate(0.7)) % 5000
        return f"/search?q=word{word}&token={rng.getrandbits(128):032x}", 200
    if draw < 0.8:
        return f"/static/img/department-{rng.randint(1, 20)}.png", rng.choice((200, 304))
    if draw < 0.9:
        return f"/blog/about-{rng.choice('abcdefghijklm')}{rng.choice('abcdefghijklm')}", 200
    return (f"/nothing/{number}", 404) if draw < 0.95 else ("/", 200)


def write_log(file: Path, lines: int) -> None:
    """A log of so many lines, 50 a second."""
    rng = random.Random(1)
    with file.open("w") as log:
        for number in range(lines):
            at = START + timedelta(seconds=number // 50)
            path, status = target(rng, number)
            client = f"10.{rng.randint(0, 3)}.{rng.randint(0, 255)}.{rng.randint(0, 255)}"
            log.write(
                f"{client} - - [{at:%d/%b/%Y:%H:%M:%S} +0000]"
                f' "GET {path} HTTP/1.1" {status} 512 "-" "{AGENT}"\n'
            )


def read_here(file: str) -> None:
    """Draft it in this process, and print CPU seconds and peak memory."""
    before = time.process_time()
    read_logs([file], None, bodies={}, folder="values", most_routes=60)
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(time.process_time() - before, used.ru_maxrss * 1024)


def main() -> int:
    """Exit status: 0 when memory stays bounded."""
    peaks = []
    print("    lines     lines per CPU second   peak memory")
    with tempfile.TemporaryDirectory() as folder:
        for lines in SIZES:
            file = Path(folder, "access.log")
            write_log(file, lines)
            said = subprocess.run(
                [sys.executable, __file__, str(file)], check=True, capture_output=True, text=True
            ).stdout
            cpu_s, peak = map(float, said.split())
            peaks.append(peak)
            print(f"{lines:9,d} {lines / cpu_s:24,.0f} {peak / 2**20:10.0f} MiB", flush=True)
    growth = peaks[-1] / peaks[0]
    print(f"memory grows {growth:.2f}-fold over four times the lines (limit {GROWTH_LIMIT})")
    return 0 if growth <= GROWTH_LIMIT else 1


if __name__ == "__main__":
    if len(sys.argv) > 1:
        read_here(sys.argv[1])
    else:
        sys.exit(main())
