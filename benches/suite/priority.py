#!/usr/bin/env python3
"""T4: under a limited bandwidth the largest changes first (Wei et al., SoCC 2015).

    benches/suite/priority.py [--out DIR] [--repetitions N]

Data-parallel matrix factorisation of a million generated ratings with Zipf items, four processes with
one worker each, ESSP. First without a limit; then with a fifth of the bytes a second that this took,
spent by --priority magnitude, age (first come, first served) or random. Test RMSE by clock and by byte.
"""

import sys

import picture
import ranks

RANKS, FACTORS, PASSES, PER_PASS, STALENESS = 4, 32, 20, 4, 20
RATINGS, USERS, ITEMS = 1_000_000, 20_000, 5_000


def one(train, test, quotas, extra):
    clocks = PASSES * PER_PASS
    return ranks.Run(
        ["mf", train, "--test", test, "-k", FACTORS, "--parallel", "data", "--clocks", clocks,
         "--clocks-per-pass", PER_PASS, "--tolerance", 0, "--evaluate-every", PER_PASS,
         "--consistency", "essp", "--staleness", STALENESS, *extra],
        RANKS,
        quotas=quotas,
    ).checked().records


def table(out, repetitions):
    train, test = ranks.ratings(RATINGS, USERS, ITEMS)
    quotas = ranks.Quotas(RANKS, 0.2)
    runs = {}
    try:
        full = [one(train, test, quotas, []) for _ in range(repetitions)]
        runs["no limit"] = full
        rate = ranks.median(run[-1]["bytes_sent"] * 8 / 1e6 / run[-1]["seconds"] for run in full) / RANKS
        for priority in ["magnitude", "age", "random"]:
            limit = ["--bandwidth", f"{rate / 5:.3f}", "--priority", priority]
            runs[priority] = [one(train, test, quotas, limit) for _ in range(repetitions)]
    finally:
        quotas.close()
    curves, rows = {}, []
    for name, several in runs.items():
        curves[name] = [[ranks.median(values) for values in zip(*((r["bytes_sent"], r["test_rmse"], r["objective"], r["seconds"]) for r in clock))]
                        for clock in zip(*several)]
        rows += [[name, number + 1, *map(lambda v: round(v, 6), point)] for number, point in enumerate(curves[name])]
    ranks.write(out / "t4-priority.csv", ["priority", "pass", "bytes_sent", "test_rmse", "objective", "seconds"], rows)
    target = curves["no limit"][PASSES // 2][1]
    ends = []
    for name, curve in curves.items():
        passes = next((n + 1 for n, point in enumerate(curve) if point[1] <= target), None)
        ends.append([name, passes or f"> {PASSES}", round(curve[-1][0]), round(curve[-1][0] / curves["no limit"][-1][0], 3), round(curve[-1][1], 5)])
    ranks.write(out / "t4-priority-summary.csv",
                ["priority", f"passes_to_rmse_{target:.4f}", "bytes_sent", "of_the_bytes", "test_rmse"], ends)
    low = min(p[1] for c in curves.values() for p in c)
    panel = lambda title, x, xs: picture.Panel(
        title, x, "test RMSE", y_range=(low * 0.995, low * 1.12), lines=[(n, xs(c), [p[1] for p in c]) for n, c in curves.items()])
    picture.save(
        out / "t4-priority.svg",
        panel("by pass", "pass", lambda c: list(range(1, len(c) + 1))),
        panel("by byte", "MB sent", lambda c: [p[0] / 1e6 for p in c]),
    )


if __name__ == "__main__":
    ranks.main(" ".join(sys.argv), __doc__, table)
