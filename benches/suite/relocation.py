#!/usr/bin/env python3
"""T10: parameters that move to where they are used, against a static placement (Renz-Wieland et al., VLDB 2020).

    benches/suite/relocation.py [--out DIR] [--repetitions N]

Matrix factorisation of a million generated ratings by four processes with one worker each, in network
namespaces with 50, 100 and 200 Mbit/s a process and direction and 1 ms one way. "relocation": item
blocks rotate (the default of petuum mf). "static": item factors stay with their homes and are cached
under the staleness bound (--parallel data), 4 clocks a pass. Remote accesses of a pass: rows that
crossed the network, counted from the bytes; "uncached" is what a server without a cache would need,
a read and a write of a remote row for three ratings of four. Needs root and /dev/net/tun.
"""

import sys

import picture
import ranks

RANKS, FACTORS, PASSES = 4, 32, 12
MBIT, DELAY_MS = [50, 100, 200], 1.0
RATINGS, USERS, ITEMS = 1_000_000, 20_000, 5_000
# A row on the wire: its factors, its bias and what else travels with it.
ROW_BYTES = 4 * (FACTORS + 2)
WAYS = {
    "relocation": [],
    "static, bsp": ["--parallel", "data", "--clocks-per-pass", 4, "--consistency", "bsp"],
    "static, essp s=2": ["--parallel", "data", "--clocks-per-pass", 4, "--consistency", "essp", "--staleness", 2],
}


def one(train, test, way, mbit):
    network = ranks.Network(RANKS, mbit, DELAY_MS)
    clocks = PASSES * (4 if way else 1)
    try:
        run = ranks.Run(
            ["mf", train, "--test", test, "-k", FACTORS, "--clocks", clocks, "--tolerance", 0,
             "--evaluate-every", clocks // PASSES, *way],
            RANKS,
            network=network,
        ).checked()
    finally:
        network.close()
    return run.records


def table(out, repetitions):
    train, test = ranks.ratings(RATINGS, USERS, ITEMS)
    curves = {}
    for _ in range(repetitions):
        for mbit in MBIT:
            for name, way in WAYS.items():
                curves.setdefault((mbit, name), []).append(one(train, test, way, mbit))
    # A quality that all of them reach.
    target = max(min(r["test_rmse"] for r in run) for runs in curves.values() for run in runs) + 0.002
    uncached = 2 * RATINGS * (RANKS - 1) / RANKS
    rows = []
    for (mbit, name), runs in curves.items():
        seconds = ranks.median(run[-1]["seconds"] / PASSES for run in runs)
        waiting = ranks.median(run[-1]["wait_seconds"] / run[-1]["seconds"] for run in runs)
        sent = ranks.median(run[-1]["bytes_sent"] / PASSES for run in runs)
        reached = ranks.median(next(r["seconds"] for r in run if r["test_rmse"] <= target) for run in runs)
        accesses = sent / ROW_BYTES
        rows.append([mbit, name, round(seconds, 4), round(waiting, 3), round(sent), round(accesses),
                     round(uncached / accesses, 1), round(reached, 3), ranks.median(run[-1]["test_rmse"] for run in runs)])
    header = ["mbit", "placement", "seconds_per_pass", "fraction_waiting", "bytes_per_pass", "remote_rows_per_pass",
              "fewer_than_uncached", f"seconds_to_rmse_{target:.4f}", "test_rmse"]
    ranks.write(out / "t10-relocation.csv", header, rows)
    of = lambda name, column: [row[column] for row in rows if row[1] == name]
    picture.save(
        out / "t10-relocation.svg",
        picture.Panel("time", "Mbit/s", "seconds a pass", bars=[(n, MBIT, of(n, 2)) for n in WAYS], log_y=True),
        picture.Panel(f"time to test RMSE {target:.3f}", "Mbit/s", "seconds", bars=[(n, MBIT, of(n, 7)) for n in WAYS], log_y=True),
        picture.Panel("remote accesses", "", "rows a pass", log_y=True,
                      bars=[("", [*WAYS, "uncached"], [*(of(n, 5)[0] for n in WAYS), uncached])]),
    )


if __name__ == "__main__":
    ranks.main(" ".join(sys.argv), __doc__, table)
