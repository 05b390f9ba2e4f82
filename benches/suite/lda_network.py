#!/usr/bin/env python3
"""`petuum lda` of four TCP processes on links of 1 Gbit and 100 Mbit: bytes a pass, seconds blocked, and the
share of relocation that is hidden behind sampling.

    benches/suite/lda_network.py [--out DIR] [--repetitions N] [--corpora imdb,kos] [--topics 100,1000] [--mbit 0,1000,100]
                                 [--passes 12] [--user-space]

Each process has one worker and a network namespace of its own; the four are joined by a bridge, and each
link has the bandwidth in each direction by `tc tbf` (--user-space: by ranks.Network, whose packets pass
through Python, which takes part of a core). 0 is the same network without a limit.

Figures are those of the second half of the passes; the objective is computed once in each half.
bytes_per_pass: all that the four send. transfer: the time that a quarter of it takes on a link. blocked: the
mean of the workers' `wait_seconds` a pass, which is more than waiting for blocks: workers wait for slower
ones as well, which the row without a limit shows. hidden = 1 - blocked / transfer, and hidden_net the same
with the blocked time of the row without a limit taken off; both are empty where the transfer is less than a
twentieth of the pass. Needs root, ip, and tc or /dev/net/tun.

Figures: DIR/lda-network.csv, DIR/lda-network.svg.
"""

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

import picture
import ranks
from results import DATA, PETUUM, environment

RANKS = 4


class Links:
    """A bridge with one namespace a rank, `mbit` in each direction on each link (0: no limit)."""

    def __init__(self, count, mbit):
        if os.geteuid() != 0 or shutil.which("ip") is None or shutil.which("tc") is None:
            raise ranks.Skipped("no network namespaces with tc (needs root, ip and tc)")
        self.hub = f"petuum{os.getpid()}hub"
        self.names = [f"petuum{os.getpid()}r{rank}" for rank in range(count)]
        try:
            self.build(mbit)
        except subprocess.CalledProcessError as error:
            self.close()
            raise ranks.Skipped(f"no links with tc tbf: {' '.join(error.cmd)}: {error.stderr.strip()}") from None

    def build(self, mbit):
        def ip(*command):
            subprocess.run(["ip", *command], check=True, capture_output=True, text=True)

        def limit(name, device):
            if mbit:
                shape = ["root", "tbf", "rate", f"{mbit}mbit", "burst", "128kb", "latency", "200ms"]
                command = ["ip", "netns", "exec", name, "tc", "qdisc", "add", "dev", device, *shape]
                subprocess.run(command, check=True, capture_output=True, text=True)

        for name in (self.hub, *self.names):
            ip("netns", "add", name)
        ip("-n", self.hub, "link", "add", "bridge", "type", "bridge")
        ip("-n", self.hub, "link", "set", "bridge", "up")
        for rank, name in enumerate(self.names):
            port = f"port{rank}"
            ip("-n", self.hub, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", name)
            ip("-n", self.hub, "link", "set", port, "master", "bridge", "up")
            ip("-n", name, "addr", "add", f"{ranks.Network.address(rank)}/24", "dev", "eth0")
            ip("-n", name, "link", "set", "eth0", "up")
            ip("-n", name, "link", "set", "lo", "up")
            limit(self.hub, port)
            limit(name, "eth0")

    def close(self):
        for name in (*self.names, self.hub):
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


def one(corpus, topics, mbit, arguments):
    """(seconds, bytes, seconds blocked) a pass in the second half of a run."""
    network = ranks.Network(RANKS, mbit or 1e6, 0.0) if arguments.user_space else Links(RANKS, mbit)
    half = arguments.passes // 2
    try:
        run = ranks.Run(
            ["lda", DATA / f"{corpus}/docword.{corpus}.txt.gz", "--topics", topics, "--alpha", 0.1, "--beta", 0.01,
             "--clocks", 2 * half, "--evaluate-every", half, "--tolerance", 0],
            RANKS,
            network=network,
        ).checked()
    finally:
        network.close()
    first, last = run.records[0], run.records[-1]
    return [(last[name] - first[name]) / half for name in ("seconds", "bytes_sent", "wait_seconds")]


def table(arguments):
    rows, bars = [], {}
    for corpus in arguments.corpora:
        for topics in arguments.topics:
            runs = {mbit: [] for mbit in arguments.mbit}
            for _ in range(arguments.repetitions):
                for mbit in arguments.mbit:
                    runs[mbit].append(one(corpus, topics, mbit, arguments))
            middle = {mbit: [ranks.median(column) for column in zip(*found)] for mbit, found in runs.items()}
            free = middle.get(0)
            for mbit, (seconds, sent, blocked) in middle.items():
                transfer = sent / RANKS * 8 / (mbit * 1e6) if mbit else 0.0
                share = lambda time: round(1 - time / transfer, 3) if transfer > 0.05 * seconds else ""
                net = share(max(0.0, blocked - free[2])) if free else ""
                rows.append([corpus, topics, mbit or "no limit", round(seconds, 4), round(sent), round(transfer, 4), round(blocked, 4), share(blocked), net])
            name = f"{corpus}, K = {topics}"
            bars[name] = [(what, [mbit or "free" for mbit in middle], [row[n] for row in rows[-len(middle) :]]) for what, n in (("a pass", 3), ("transfer", 5), ("blocked", 6))]
            header = ["corpus", "topics", "mbit", "seconds_per_pass", "bytes_per_pass", "transfer_seconds", "blocked_seconds", "hidden", "hidden_net"]
            ranks.write(arguments.out / "lda-network.csv", header, rows, show=False)
            picture.save(arguments.out / "lda-network.svg", *(picture.Panel(title, "Mbit/s", "seconds a pass", bars=series) for title, series in bars.items()))
    print((arguments.out / "lda-network.csv").read_text())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    numbers = lambda text: [int(part) for part in text.split(",")]
    parser.add_argument("--out", type=Path, default=Path("benches/runs/unnamed"))
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--corpora", type=lambda text: text.split(","), default=["imdb", "kos"])
    parser.add_argument("--topics", type=numbers, default=[100, 1000])
    parser.add_argument("--mbit", type=numbers, default=[0, 1000, 100])
    parser.add_argument("--passes", type=int, default=12)
    parser.add_argument("--user-space", action="store_true")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    if not PETUUM.exists():
        sys.exit(f"no {PETUUM}: run cargo build --release")
    try:
        table(arguments)
    except ranks.Skipped as why:
        print(f"skipped: {why}", file=sys.stderr)
        return
    environment(arguments.out / "lda-network-environment.txt")


if __name__ == "__main__":
    main()
