#!/usr/bin/env python3
"""T3: pushing fresh rows eagerly makes a long staleness harmless (Dai et al., AAAI 2015).

    benches/suite/eager.py [--out DIR] [--repetitions N]

Data-parallel matrix factorisation by SGD of four million generated ratings, eight processes with one
worker and a fifth of a core each, 4 clocks a pass, s = 10, over a grid of learning rates: lazy SSP
(rows are pulled when the bound demands it) against ESSP. Objective by pass, the largest rate that
still converges, and the histogram of the staleness that reads met. Steps are not scaled by the
staleness here. Needs root and cgroup v1: without a share for each, two cores run two workers at a
time, and the others' staleness is that of the operating system's schedule.
"""

import sys

import picture
import ranks

RANKS, FACTORS, PASSES, PER_PASS, STALENESS = 8, 16, 20, 4, 10
RATES = [0.01, 0.02, 0.05, 0.1, 0.2]
RATINGS, USERS, ITEMS = 4_000_000, 30_000, 3_000


def one(train, test, quotas, consistency, staleness, rate):
    clocks = PASSES * PER_PASS
    run = ranks.Run(
        ["mf", train, "--test", test, "-k", FACTORS, "--parallel", "data", "--step-scaling", "none",
         "--learning-rate", rate, "--clocks", clocks, "--clocks-per-pass", PER_PASS, "--tolerance", 0,
         "--evaluate-every", PER_PASS, "--consistency", consistency, "--staleness", staleness],
        RANKS,
        quotas=quotas,
    )
    if run.status == 3:
        return run.records, True
    run.checked()
    first, last = run.records[0]["objective"], run.records[-1]["objective"]
    return run.records, not last < first


def grid(train, test, ways, repetitions):
    quotas = ranks.Quotas(RANKS, 0.2, 10_000)
    curves, ends, counts = [], [], {}
    try:
        for rate in RATES:
            for name, (consistency, staleness) in ways.items():
                runs = [one(train, test, quotas, consistency, staleness, rate) for _ in range(repetitions)]
                diverged = sum(bad for _, bad in runs)
                final = ranks.median(r[-1]["test_rmse"] if r and not bad else float("inf") for r, bad in runs)
                ends.append([rate, name, diverged, repetitions, final])
                records = runs[0][0]
                curves += [[rate, name, r["clock"] // PER_PASS, r["objective"], r["test_rmse"]] for r in records]
                if rate == RATES[0]:
                    counts[name] = [sum(column) for column in zip(*(padded(r) for r in records))]
    finally:
        quotas.close()
    return ends, curves, counts


def table(out, repetitions):
    train, test = ranks.ratings(RATINGS, USERS, ITEMS)
    ways = {"bsp": ("bsp", 0), "lazy ssp, s=10": ("ssp", STALENESS), "essp, s=10": ("essp", STALENESS)}
    ends, curves, counts = grid(train, test, ways, repetitions)
    ranks.write(out / "t3-eager.csv", ["learning_rate", "consistency", "diverged", "of", "median_test_rmse"], ends)
    ranks.write(out / "t3-eager-curves.csv", ["learning_rate", "consistency", "pass", "objective", "test_rmse"], curves)
    rows = [[name, s, c, round(c / max(1, sum(count)), 4)] for name, count in counts.items() for s, c in enumerate(count)]
    ranks.write(out / "t3-eager-staleness.csv", ["consistency", "staleness", "reads", "fraction"], rows)
    of = lambda name: [min(row[4], 9.99) for row in ends if row[1] == name]
    picked = RATES[2]
    by_pass = lambda name: [(row[2], row[3]) for row in curves if row[0] == picked and row[1] == name]
    share = lambda name: [row[3] for row in rows if row[0] == name]
    best = min(row[4] for row in ends)
    picture.save(
        out / "t3-eager.svg",
        picture.Panel(f"after {PASSES} passes", "learning rate", "test RMSE", y_range=(best * 0.98, best * 1.35), log_x=True,
                      lines=[(n, RATES, of(n)) for n in ways]),
        picture.Panel(f"learning rate {picked}", "pass", "objective", log_y=True,
                      lines=[(n, *map(list, zip(*by_pass(n)))) for n in ways if by_pass(n)]),
        picture.Panel("staleness of reads", "clocks", "fraction of reads",
                      bars=[(n, list(range(STALENESS + 1)), share(n)) for n in ways if n != "bsp"]),
    )


def padded(record):
    counts = record.get("staleness_counts") or []
    return (counts + [0] * (STALENESS + 1))[: STALENESS + 1]


if __name__ == "__main__":
    ranks.main(" ".join(sys.argv), __doc__, table)
