#!/usr/bin/env python3
"""T4: under a limited bandwidth the largest changes first (Wei et al., SoCC 2015).

    benches/suite/priority.py [--out DIR] [--repetitions N]

Data-parallel matrix factorisation of two million generated ratings with Zipf items, four processes with
one worker and a fifth of a core each, ESSP, s = 60 (of 64 clocks, so that hardly a row has to leave).
First without a limit; then with a fifth and a tenth of the bytes a second that this took, spent by
--priority magnitude, age (first come, first served) or random. Test RMSE by pass and by byte. Steps are
not scaled by the delay here, which would hide what delay does.
"""

import sys

import picture
import ranks

RANKS, FACTORS, PASSES, PER_PASS, STALENESS = 4, 32, 16, 4, 60
PARTS = [5, 10]
STEPS = ["--step-scaling", "none", "--learning-rate", 0.05]
RATINGS, USERS, ITEMS = 2_000_000, 20_000, 3_000


def one(train, test, quotas, extra):
    clocks = PASSES * PER_PASS
    return ranks.Run(
        ["mf", train, "--test", test, "-k", FACTORS, "--parallel", "data", "--clocks", clocks,
         "--clocks-per-pass", PER_PASS, "--tolerance", 0, "--evaluate-every", PER_PASS,
         "--consistency", "essp", "--staleness", STALENESS, *STEPS, *extra],
        RANKS,
        quotas=quotas,
    ).checked().records


def table(out, repetitions):
    train, test = ranks.ratings(RATINGS, USERS, ITEMS)
    quotas = ranks.Quotas(RANKS, 0.2, 20_000)
    runs = {}
    try:
        full = [one(train, test, quotas, []) for _ in range(repetitions)]
        runs["no limit"] = full
        rate = ranks.median(run[-1]["bytes_sent"] * 8 / 1e6 / run[-1]["seconds"] for run in full) / RANKS
        for part in PARTS:
            for priority in ["magnitude", "age", "random"]:
                limit = ["--bandwidth", f"{rate / part:.3f}", "--priority", priority]
                runs[f"1/{part}, {priority}"] = [one(train, test, quotas, limit) for _ in range(repetitions)]
    finally:
        quotas.close()
    curves, rows = {}, []
    for name, several in runs.items():
        curves[name] = [[ranks.median(values) for values in zip(*((r["bytes_sent"], r["test_rmse"], r["objective"], r["seconds"]) for r in clock))]
                        for clock in zip(*several)]
        rows += [[name, number + 1, *map(lambda v: round(v, 6), point)] for number, point in enumerate(curves[name])]
    ranks.write(out / "t4-priority.csv", ["budget", "pass", "bytes_sent", "test_rmse", "objective", "seconds"], rows)
    target = curves["no limit"][PASSES // 2][1]
    ends = []
    for name, curve in curves.items():
        passes = next((n + 1 for n, point in enumerate(curve) if point[1] <= target), None)
        ends.append([name, passes or f"> {PASSES}", round(curve[-1][0]), round(curve[-1][0] / curves["no limit"][-1][0], 3), round(curve[-1][1], 5)])
    ranks.write(out / "t4-priority-summary.csv",
                ["budget", f"passes_to_rmse_{target:.4f}", "bytes_sent", "of_the_bytes", "test_rmse"], ends)
    low = min(p[1] for c in curves.values() for p in c)

    def panel(title, x, xs, part):
        shown = {n: c for n, c in curves.items() if n == "no limit" or n.startswith(f"1/{part},")}
        lines = [(n, xs(c), [p[1] for p in c]) for n, c in shown.items()]
        return picture.Panel(title, x, "test RMSE", y_range=(low * 0.995, low * 1.2), lines=lines)

    panels = [panel(f"1/{part} of the bandwidth", "pass", lambda c: list(range(1, len(c) + 1)), part) for part in PARTS]
    by_byte = panel("by byte, a tenth of the bandwidth", "MB sent", lambda c: [p[0] / 1e6 for p in c], PARTS[-1])
    picture.save(out / "t4-priority.svg", *panels, by_byte)


if __name__ == "__main__":
    ranks.main(" ".join(sys.argv), __doc__, table)
