#!/usr/bin/env python3
"""T13: steps that know their staleness stand a wider range of learning rates (Jiang et al., SIGMOD 2017).

    benches/suite/steps.py [--out DIR] [--repetitions N]

Data-parallel matrix factorisation of a million generated ratings under async, eight processes with one
worker each and a tenth of a core each, one of them with a quarter of that. Over a grid of learning
rates: plain steps against steps divided by the root of the delay that each clock met. Needs root and cgroup v1.
"""

import sys

import picture
import ranks

RANKS, FACTORS, PASSES, PER_PASS = 8, 16, 20, 4
SCALINGS = ["none", "delay"]
RATES = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32]
RATINGS, USERS, ITEMS = 1_000_000, 20_000, 5_000


def one(train, test, quotas, scaling, rate):
    clocks = PASSES * PER_PASS
    run = ranks.Run(
        ["mf", train, "--test", test, "-k", FACTORS, "--parallel", "data", "--step-scaling", scaling,
         "--learning-rate", rate, "--clocks", clocks, "--clocks-per-pass", PER_PASS, "--tolerance", 0,
         "--evaluate-every", clocks, "--consistency", "async"],
        RANKS,
        quotas=quotas,
    )
    return run.records[-1]["test_rmse"] if run.status == 0 and run.records else float("inf")


def table(out, repetitions):
    train, test = ranks.ratings(RATINGS, USERS, ITEMS)
    quotas = ranks.Quotas(RANKS, 0.1)
    quotas.slow(RANKS - 1, 4.0)
    rows = []
    try:
        for rate in RATES:
            for scaling in SCALINGS:
                errors = sorted(one(train, test, quotas, scaling, rate) for _ in range(repetitions))
                rows.append([rate, scaling, errors[len(errors) // 2], errors[-1]])
    finally:
        quotas.close()
    ranks.write(out / "t13-steps.csv", ["learning_rate", "step_scaling", "median_test_rmse", "worst_test_rmse"], rows)
    best = min(row[2] for row in rows)
    for scaling in SCALINGS:
        stable = [row[0] for row in rows if row[1] == scaling and row[3] <= best * 1.05]
        print(f"{scaling}: within 5 % of the best at {stable}")
    of = lambda scaling: [min(row[2], best * 2) for row in rows if row[1] == scaling]
    picture.save(
        out / "t13-steps.svg",
        picture.Panel(f"async, one worker four times slower, {PASSES} passes", "learning rate", "test RMSE", log_x=True,
                      y_range=(best * 0.98, best * 1.4), lines=[(s, RATES, of(s)) for s in SCALINGS]),
    )


if __name__ == "__main__":
    ranks.main(" ".join(sys.argv), __doc__, table)
