"""Runs of several real petuum processes for the tables of this folder: in cgroups with a share of a core,
in network namespaces with a bandwidth and a delay, with stragglers that come and go.

Namespaces and cgroups need root; what cannot be had is said by name, and the table is skipped.
"""

import heapq
import fcntl
import json
import os
import random
import select
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from results import DATA, PETUUM, environment, log, write

CGROUP = Path("/sys/fs/cgroup/cpu")


class Skipped(Exception):
    """Something that this machine does not have."""



def petuum(*arguments):
    """Runs petuum in one process and waits."""
    command = [str(PETUUM), *map(str, arguments)]
    log(" ".join(["petuum", *command[1:]]))
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}\nended with {done.returncode}:\n{done.stderr}")
    return done.stdout


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


class Quotas:
    """A share of a core for each rank, which can be changed while it runs."""

    def __init__(self, ranks, share, period_us=50_000):
        if not os.access(CGROUP / "cpu.cfs_period_us", os.W_OK):
            raise Skipped(f"no writable {CGROUP} (cgroup v1, cpu controller, as root)")
        self.folders = []
        self.share, self.period_us = share, period_us
        for rank in range(ranks):
            folder = CGROUP / f"petuum-{os.getpid()}-{rank}"
            folder.mkdir()
            (folder / "cpu.cfs_period_us").write_text(str(period_us))
            self.folders.append(folder)
            self.slow(rank, 1.0)

    def slow(self, rank, factor):
        quota = max(1000, int(self.period_us * self.share / factor))
        (self.folders[rank] / "cpu.cfs_quota_us").write_text(str(quota))

    def enter(self, rank):
        """For the child, before it becomes petuum."""
        return lambda: (self.folders[rank] / "tasks").write_text("0")

    def close(self):
        for folder in self.folders:
            for _ in range(100):
                try:
                    folder.rmdir()
                    break
                except OSError:
                    time.sleep(0.05)


class Straggling(threading.Thread):
    """Slows every rank down by `factor` for a clock's time now and then, `fraction` of all clocks."""

    def __init__(self, quotas, ranks, clock_seconds, fraction=0.1, factor=3.0, seed=1):
        super().__init__(daemon=True)
        self.quotas, self.ranks = quotas, ranks
        self.clock, self.fraction, self.factor = clock_seconds, fraction, factor
        self.random = random.Random(seed)
        self.over = threading.Event()

    def run(self):
        # Work of one clock at a third of the speed takes three clocks' time.
        slow = self.clock * self.factor
        usual = self.clock * (1 - self.fraction) / self.fraction
        now = time.monotonic()
        changes = [(now + self.random.expovariate(1 / usual), rank, True) for rank in range(self.ranks)]
        heapq.heapify(changes)
        while not self.over.is_set():
            due, rank, begins = heapq.heappop(changes)
            if self.over.wait(max(0.0, due - time.monotonic())):
                return
            self.quotas.slow(rank, self.factor if begins else 1.0)
            after = slow if begins else self.random.expovariate(1 / usual)
            heapq.heappush(changes, (due + after, rank, not begins))

    def stop(self):
        self.over.set()
        self.join()


class Network:
    """One network namespace a rank; packets of all pass through this process, which gives every rank
    `mbit` in each direction (a token bucket each) and every packet `delay_ms` one way."""

    MTU = 16_000

    def __init__(self, ranks, mbit, delay_ms):
        if os.geteuid() != 0 or shutil.which("ip") is None or not os.path.exists("/dev/net/tun"):
            raise Skipped("no network namespaces (needs root, ip and /dev/net/tun)")
        self.names = [f"petuum{os.getpid()}r{rank}" for rank in range(ranks)]
        self.rate, self.delay = mbit * 1e6 / 8, delay_ms / 1e3
        self.devices = []
        for rank, name in enumerate(self.names):
            subprocess.run(["ip", "netns", "add", name], check=True)
            self.devices.append(self.attach(rank, name))
        self.over = False
        self.thread = threading.Thread(target=self.forward, daemon=True)
        self.thread.start()

    @staticmethod
    def address(rank):
        return f"10.77.0.{rank + 1}"

    def attach(self, rank, name):
        """Opens a tun device and moves it into the namespace."""
        device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        tun = f"tun{os.getpid() % 100000}r{rank}"[:15]
        fcntl.ioctl(device, 0x400454CA, struct.pack("16sH22s", tun.encode(), 0x1001, b""))
        inside = ["ip", "netns", "exec", name, "ip"]
        for command in (
            ["ip", "link", "set", tun, "netns", name],
            [*inside, "addr", "add", f"{self.address(rank)}/24", "dev", tun],
            [*inside, "link", "set", tun, "mtu", str(self.MTU), "up"],
            [*inside, "link", "set", "lo", "up"],
        ):
            subprocess.run(command, check=True)
        return device

    def forward(self):
        ranks = len(self.devices)
        rank_of = {device: rank for rank, device in enumerate(self.devices)}
        # When the last byte that is under way has left its rank and has reached its rank.
        leaves, arrives = [0.0] * ranks, [0.0] * ranks
        waiting, number = [], 0
        poll = select.poll()
        for device in self.devices:
            poll.register(device, select.POLLIN)
        while not self.over:
            now = time.monotonic()
            while waiting and waiting[0][0] <= now:
                _, _, to, packet = heapq.heappop(waiting)
                try:
                    os.write(self.devices[to], packet)
                except OSError:
                    pass
            ahead = max(0.0, waiting[0][0] - time.monotonic()) * 1e3 if waiting else 50
            for device, _ in poll.poll(ahead):
                for _ in range(64):
                    try:
                        packet = os.read(device, 65536)
                    except BlockingIOError:
                        break
                    except OSError:
                        break
                    if len(packet) < 20 or packet[0] >> 4 != 4:
                        continue
                    to = packet[19] - 1
                    if not 0 <= to < ranks:
                        continue
                    took = len(packet) / self.rate
                    at = rank_of[device]
                    now = time.monotonic()
                    leaves[at] = max(leaves[at], now) + took
                    arrives[to] = max(arrives[to] + took, leaves[at])
                    number += 1
                    heapq.heappush(waiting, (arrives[to] + self.delay, number, to, packet))

    def close(self):
        self.over = True
        self.thread.join()
        for device in self.devices:
            os.close(device)
        for name in self.names:
            subprocess.run(["ip", "netns", "del", name], check=False)


class Run:
    """One run of several ranks: the records, and the seconds of the whole."""

    def __init__(self, arguments, ranks, quotas=None, network=None, timeout=600):
        with tempfile.TemporaryDirectory() as folder:
            hosts, secret = Path(folder) / "hosts", Path(folder) / "secret"
            ports = [7700] * ranks if network else free_ports(ranks)
            names = [Network.address(r) if network else "127.0.0.1" for r in range(ranks)]
            hosts.write_text("".join(f"{n}:{p} slots=1\n" for n, p in zip(names, ports)))
            secret.write_text("a secret of this run alone\n")
            secret.chmod(0o600)
            common = [str(PETUUM), *map(str, arguments), "--hosts", str(hosts), "--secret-file", str(secret)]
            common += ["--records", "jsonl", "--quiet"]
            shown = " ".join(["petuum", *common[1:-7]]) + f"  # {ranks} processes"
            log(shown)
            start = time.monotonic()
            processes = []
            for rank in range(ranks):
                command = [*common, "--rank", str(rank)]
                if network:
                    command = ["ip", "netns", "exec", network.names[rank], *command]
                processes.append(
                    subprocess.Popen(
                        command,
                        stdout=open(Path(folder) / f"out{rank}", "w"),
                        stderr=open(Path(folder) / f"err{rank}", "w"),
                        preexec_fn=quotas.enter(rank) if quotas else None,
                    )
                )
            limit = time.monotonic() + timeout
            for process in processes:
                try:
                    process.wait(max(0.1, limit - time.monotonic()))
                except subprocess.TimeoutExpired:
                    for one in processes:
                        one.kill()
            self.wall = time.monotonic() - start
            self.status = processes[0].wait()
            self.errors = (Path(folder) / "err0").read_text()
            lines = (Path(folder) / "out0").read_text().splitlines()
            self.records = [json.loads(line) for line in lines if line.startswith("{")]

    def checked(self):
        if self.status != 0:
            sys.exit(f"petuum ended with {self.status}:\n{self.errors}")
        return self


def ratings(count, users, items, seed=1, rank=10, noise=0.7):
    """A folder with generated ratings, made once: (training file, test file)."""
    folder = Path(tempfile.gettempdir()) / f"petuum-ratings-{count}-{users}-{items}-{seed}"
    if not (folder / "DONE").exists():
        shutil.rmtree(folder, ignore_errors=True)
        petuum("generate", "mf", "--output", folder, "--ratings", count, "--users", users, "--items", items,
               "-k", rank, "--noise", noise, "--seed", seed, "--force")
        (folder / "DONE").touch()
    train = sorted(folder.glob("ratings*"))[0]
    test = sorted(folder.glob("test*"))[0]
    return train, test


def median(values):
    return statistics.median(values)



def main(script, about, table):
    """The command line of a table's script."""
    import argparse

    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("benches/runs/unnamed"))
    parser.add_argument("--repetitions", type=int, default=3)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    if not PETUUM.exists():
        sys.exit(f"no {PETUUM}: run cargo build --release")
    try:
        table(arguments.out, arguments.repetitions)
    except Skipped as why:
        print(f"skipped: {why}", file=sys.stderr)
        return
    environment(arguments.out / "environment.txt", f"script: {script}")
