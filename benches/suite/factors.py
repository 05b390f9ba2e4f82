#!/usr/bin/env python3
"""T9: gradients as sufficient factors, against full matrices (Xie et al., UAI 2016; Poseidon, USENIX ATC 2017).

    benches/suite/factors.py [--out DIR] [--repetitions N]

A distance metric of 600 x 780 by two and by four processes with one worker each, a mini-batch of 16 pairs
a clock, bulk synchronous, in network namespaces with 50 and 200 Mbit/s a process and direction.
`--exchange` full, factors, indices, and auto. All of them must give the same losses, digit by digit.
Needs root and /dev/net/tun.
"""

import random
import sys
import tempfile
from pathlib import Path

import picture
import ranks

RANKS, MBIT, BATCH, CLOCKS, EVERY = [2, 4], [50, 200], 16, 20, 10
EXAMPLES, FEATURES, DIMENSIONS = 640, 780, 600
FORMS = ["full", "factors", "indices", "auto"]


def examples(path):
    draw = random.Random(1)
    with open(path, "w") as file:
        for n in range(EXAMPLES):
            values = (f"{draw.gauss(n % 10 if at % 10 == n % 10 else 0, 3):.3f}" for at in range(FEATURES))
            file.write(f"{n % 10}," + ",".join(values) + "\n")


def one(data, processes, mbit, form):
    network = ranks.Network(processes, mbit, 1.0)
    try:
        run = ranks.Run(
            ["dml", data, "-k", DIMENSIONS, "--batch", BATCH, "--consistency", "bsp", "--initial", "random",
             "--holdout", 0, "--clocks-per-pass", EXAMPLES // processes // BATCH, "--clocks", CLOCKS,
             # Whoever evaluates reads the tables first, off the clock: seldom, then.
             "--evaluate-every", EVERY, "--exchange", form],
            processes,
            network=network,
        ).checked()
    finally:
        network.close()
    return run.records


def table(out, repetitions):
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "examples.csv"
        examples(data)
        for processes in RANKS:
            for mbit in MBIT:
                losses = set()
                for form in FORMS:
                    runs = [one(data, processes, mbit, form) for _ in range(repetitions)]
                    losses |= {tuple(record["objective"] for record in run) for run in runs}
                    # The first clock also brings the first copies.
                    later = lambda run, column: (run[-1][column] - run[-2][column]) / (run[-1]["clock"] - run[-2]["clock"])
                    seconds = ranks.median(later(run, "seconds") for run in runs)
                    sent = ranks.median(later(run, "bytes_sent") for run in runs)
                    rows.append([processes, mbit, form, round(sent / processes), round(seconds, 5)])
                for row in rows[-len(FORMS):]:
                    row.append("yes" if len(losses) == 1 else "NO")
    header = ["processes", "mbit", "exchange", "bytes_per_clock_and_process", "seconds_per_clock", "losses_identical"]
    ranks.write(out / "t9-factors.csv", header, rows)
    of = lambda form, column, mbit: [r[column] for r in rows if r[2] == form and r[1] == mbit]
    picture.save(
        out / "t9-factors.svg",
        picture.Panel("bytes", "processes", "bytes a clock and process", log_y=True,
                      bars=[(form, RANKS, of(form, 3, MBIT[0])) for form in FORMS]),
        *(picture.Panel(f"{mbit} Mbit/s", "processes", "seconds a clock", log_y=True,
                        bars=[(form, RANKS, of(form, 4, mbit)) for form in FORMS]) for mbit in MBIT),
    )


if __name__ == "__main__":
    ranks.main(" ".join(sys.argv), __doc__, table)
