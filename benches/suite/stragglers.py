#!/usr/bin/env python3
"""T1: bounded staleness hides stragglers that come and go (Ho et al., NIPS 2013).

    benches/suite/stragglers.py [--out DIR] [--repetitions N]

Eight processes with one worker each train a data-parallel topic model on kos, every process with a
twentieth of a core (cgroup quotas), so that none takes time from another. "transient": every process
works at a third of its speed for a tenth of its clocks. "constant": one process always at half its
speed. Clocks per second against the same consistency with s = 0, medians. Needs root, cgroup v1 and $PETUUM_DATA/kos.
"""

import sys
import tempfile
from pathlib import Path

import picture
import ranks

RANKS, SHARE, CLOCKS = 8, 0.125, 20
STALENESS = [0, 1, 3, 10]
RUNS = [(kind, how, s) for kind in ("none", "transient", "constant") for how in ("ssp", "essp") for s in STALENESS
        if kind == "transient" or (how == "ssp" and s in (0, 3))]
PAPER = {0: 1.0, 1: 1.4, 3: 1.6, 10: 1.75}


def one(path, straggle, consistency, staleness, clock_seconds):
    quotas = ranks.Quotas(RANKS, SHARE)
    straggling = None
    try:
        if straggle == "transient":
            straggling = ranks.Straggling(quotas, RANKS, clock_seconds)
            straggling.start()
        elif straggle == "constant":
            quotas.slow(RANKS - 1, 2.0)
        run = ranks.Run(
            ["lda", path, "--topics", 50, "--parallel", "data", "--clocks", CLOCKS, "--evaluate-every", CLOCKS,
             "--consistency", consistency, "--staleness", staleness],
            RANKS,
            quotas=quotas,
        ).checked()
    finally:
        if straggling:
            straggling.stop()
        quotas.close()
    last = run.records[-1]
    return CLOCKS / last["seconds"], last["wait_seconds"] / last["seconds"], last["loglik_per_token"]


def table(out, repetitions):
    source = ranks.DATA / "imdb/docword.imdb.txt.gz"
    if not source.exists():
        raise ranks.Skipped(f"no {source}")
    path = Path(tempfile.gettempdir()) / "petuum-imdb.cache"
    if not path.exists():
        ranks.petuum("convert", source, "--output", path)
    speed = ranks.median(one(path, "none", "ssp", 0, 0)[0] for _ in range(repetitions))
    results, rows = {}, []
    for _ in range(repetitions):
        for run in RUNS:
            results.setdefault(run, []).append(one(path, *run, 1 / speed))
    for (straggle, consistency, staleness), runs in results.items():
        clocks, waiting, quality = (ranks.median(column) for column in zip(*runs))
        base = ranks.median(run[0] for run in results[straggle, consistency, 0])
        row = [straggle, consistency, staleness, round(clocks, 3), round(clocks / base, 2), round(waiting, 3)]
        rows.append([*row, round(quality, 4)])
    header = ["stragglers", "consistency", "staleness", "clocks_per_second", "against_s0", "fraction_waiting"]
    ranks.write(out / "t1-stragglers.csv", [*header, "loglik_per_token"], rows)
    known = {tuple(row[:3]): row for row in rows}
    series = [("transient", "ssp"), ("transient", "essp"), ("constant", "ssp"), ("none", "ssp")]

    def bars(column):
        of = lambda kind, how: [known.get((kind, how, s), [None] * 7)[column] for s in STALENESS]
        return [(f"{kind}, {how}", STALENESS, of(kind, how)) for kind, how in series]

    shape = ("the paper's shape, transient", STALENESS, [PAPER[s] for s in STALENESS])
    picture.save(
        out / "t1-stragglers.svg",
        picture.Panel("speed against s = 0", "staleness", "clocks/s, relative", bars=[*bars(4), shape]),
        picture.Panel("waiting", "staleness", "fraction of the time", bars=bars(5)),
    )


if __name__ == "__main__":
    ranks.main(" ".join(sys.argv), __doc__, table)
