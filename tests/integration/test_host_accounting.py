"""CPU accounting over real processes: nothing lost, nothing twice, never backwards."""

from __future__ import annotations

import os
import socket
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest

from labcoat.host.base import Launch
from labcoat.host.census import spent, take_census
from labcoat.host.local import LocalHost, LocalProcess

PATIENCE_S = 60.0

# Workers that come and go; each tells what it spent by its own clock.
CHURN = """
    import os, threading, time

    def spin(seconds):
        end = time.thread_time() + seconds
        while time.thread_time() < end:
            pass

    def worker():
        threads = [threading.Thread(target=spin, args=(0.02,)) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        os.write(report, (str(time.process_time()) + "\\n").encode())
        os._exit(0)

    report = os.open("spent", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for generation in range(15):
        for _ in range(2):
            if os.fork() == 0:
                if os.fork() == 0:  # an orphan: the keeper will be the one to reap it
                    worker()
                worker()
        for _ in range(2):
            os.wait()
    os.write(report, (str(time.process_time()) + "\\n").encode())
    print("up", flush=True)
    time.sleep(1000)
"""


def spawn(folder: Path, code: str) -> LocalProcess:
    argv = (sys.executable, "-I", "-S", "-c", textwrap.dedent(code))
    return LocalHost().spawn(Launch(name="toy", argv=argv, cwd=folder, log=folder / "toy.log"))


def test_cpu_of_workers_that_come_and_go_is_monotone_and_complete(tmp_path: Path) -> None:
    process = spawn(tmp_path, CHURN)
    readings = [process.counters()]
    deadline = time.monotonic() + PATIENCE_S
    while "up" not in process.tail() or readings[-1].processes > 1:
        assert time.monotonic() < deadline
        readings.append(process.counters())
    # The last orphan may be counted as living until the keeper has reaped it.
    final = process.counters()
    process.stop()
    cpu = [reading.cpu_s for reading in readings]
    system = [reading.system_s for reading in readings]
    assert cpu == sorted(cpu)
    assert system == sorted(system)
    told = sum(map(float, (tmp_path / "spent").read_text().split()))
    # Beyond what they told: forks, interpreter ends. Less: two roundings to 10 ms ticks.
    assert told - 0.025 <= final.cpu_s <= told * 1.25
    assert final.system_s < final.cpu_s


def test_a_reading_sees_memory_threads_and_switches(tmp_path: Path) -> None:
    code = """
        import os, threading, time
        kept = bytearray(os.urandom(1 << 20)) * 32
        threads = [threading.Thread(target=time.sleep, args=(1000,), daemon=True) for _ in range(3)]
        for thread in threads:
            thread.start()
        if os.fork() == 0:
            time.sleep(1000)
        for _ in range(50):
            time.sleep(0.001)
        print("up", flush=True)
        time.sleep(1000)
    """
    process = spawn(tmp_path, code)
    deadline = time.monotonic() + PATIENCE_S
    while "up" not in process.tail():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    reading = process.counters()
    process.stop()
    assert (reading.processes, reading.threads) == (2, 5)
    assert reading.switches_voluntary >= 50
    assert reading.switches_involuntary >= 0
    # The 32 MiB are shared by the two: counted once in PSS, twice in RSS.
    assert 32 << 20 <= reading.pss_bytes < 64 << 20 <= reading.rss_bytes


def test_a_reading_costs_less_than_asking_psutil(tmp_path: Path) -> None:
    code = """
        import os, time
        for _ in range(15):
            if os.fork() == 0:
                time.sleep(1000)
        print("up", flush=True)
        time.sleep(1000)
    """
    process = spawn(tmp_path, code)
    deadline = time.monotonic() + PATIENCE_S
    while "up" not in process.tail():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.counters()  # the one that reads PSS
    ours, theirs = [], []
    for _ in range(9):
        began = time.process_time()
        process.counters()
        ours.append(time.process_time() - began)
        began = time.process_time()
        tree = psutil.Process(process.keeper.pid).children(recursive=True)
        sum(each.cpu_times().user + each.memory_info().rss for each in tree)
        sum(each.num_ctx_switches().voluntary for each in tree)
        theirs.append(time.process_time() - began)
    process.stop()
    assert sorted(ours)[4] < sorted(theirs)[4]


@pytest.mark.parametrize("attribute", ["busy_s", "idle_s", "steal_s", "listen_overflows", "at_ns"])
def test_the_counters_of_the_host_never_go_backwards(attribute: str) -> None:
    host = LocalHost()
    readings = [getattr(host.counters(), attribute) for _ in range(20)]
    assert readings == sorted(readings)


def test_an_overflowing_listen_queue_is_counted() -> None:
    host = LocalHost()
    before = host.counters()
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(1)
        clients = []
        for _ in range(8):
            client = socket.socket()
            client.setblocking(False)
            client.connect_ex(server.getsockname())
            clients.append(client)
        time.sleep(0.1)
        for client in clients:
            client.close()
    after = host.counters()
    assert after.listen_overflows > before.listen_overflows
    assert after.listen_drops >= after.listen_overflows - before.listen_overflows


def test_a_census_sees_what_a_program_spends() -> None:
    before = take_census()
    end = time.process_time() + 0.2
    while time.process_time() < end:
        pass
    after = take_census()
    assert spent(before, after).programs_s >= 0.19
    assert os.getpid() in {pid for pid, _ in after.entries}
