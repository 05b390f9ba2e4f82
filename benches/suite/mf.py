#!/usr/bin/env python3
"""`petuum mf` beside its peers, on planted ratings and on Jester.

    benches/suite/mf.py time     [--out DIR]   time to the same test RMSE, beside LIBMF
    benches/suite/mf.py methods  [--out DIR]   sgd, als and ccd: seconds and test RMSE, beside cmfrec
    benches/suite/mf.py implicit [--out DIR]   --implicit beside the Python package implicit
    benches/suite/mf.py tcp      [--out DIR]   two TCP processes against one process, memory

Needs a release build of petuum (cargo build --release), and for Jester the corpora in $PETUUM_DATA
(default ../shared/data). $LIBMF names the mf-train of an AVX build of LIBMF. Peers that are not
installed are skipped by name (pip install implicit cmfrec). --only limits time to one set and number
of factors (ten:32). Every run's command, versions and hardware go to DIR/mf-environment.txt, the
figures to DIR/mf-*.csv. Files that are made go to --work, and are used again if they are there.

LIBMF does not tell time. Its run without a test set prints a line after each pass and computes
nothing but what it needs; a pass is timed by when its line arrives (stdbuf -oL), counted from the
line above the first pass, which comes when everything is loaded and sorted. Its test RMSE by pass
comes from a run of its own. petuum's seconds are those of training, too: neither has loading in it.
"""

import argparse
import csv
import gzip
import io
import os
import random
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from results import DATA, PETUUM, environment, log, write

LIBMF = Path(os.environ.get("LIBMF", "mf-train"))
THREADS = 2
REPETITIONS = 3
PASSES = 30
# Step sizes and penalties of LIBMF and of petuum that are tried: as many of each.
RATES = [0.05, 0.1, 0.2], [0.1, 0.2, 0.3]
GRID = {
    ("ten", 32): ([0.01, 0.02, 0.03, 0.05], [0.02, 0.03, 0.04, 0.05]),
    ("ten", 128): ([0.01, 0.02, 0.03, 0.05], [0.02, 0.03, 0.04, 0.05]),
    ("jester", 32): ([0.1, 0.3, 1.0, 2.0], [0.15, 0.2, 0.25, 0.3]),
    ("jester", 128): ([0.1, 0.3, 1.0, 2.0], [0.15, 0.2, 0.25, 0.3]),
}
PREFIX = []
WORK = None


def data(name):
    """Training and test file of a set, made if they are not there."""
    train, test = WORK / f"ratings.{name}.tsv", WORK / f"test.{name}.tsv"
    if train.exists() and test.exists():
        return train, test
    if name == "ten":
        subprocess.run([str(PETUUM), "generate", "mf", "--output", str(WORK), "--name", name, "--force"], check=True)
        return train, test
    source = DATA / "jester/jester-data-1.csv.gz"
    if not source.exists():
        print(f"skipped: no {source}", file=sys.stderr)
        return None
    draw = random.Random(1)
    with gzip.open(source, "rt") as lines, open(train, "w") as keep, open(test, "w") as out:
        for user, line in enumerate(lines, 1):
            for item, rating in enumerate(line.split(",")[1:], 1):
                if float(rating) != 99:
                    to = out if draw.random() < 0.1 else keep
                    to.write(f"{user}\t{item}\t{float(rating)}\n")
    return train, test


def petuum(arguments):
    """Runs petuum; its records, and its peak memory in MB."""
    command = [*PREFIX, "/usr/bin/time", "-f", "peak %M", str(PETUUM), "mf", *map(str, arguments), "--quiet"]
    log(" ".join(command))
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}\nended with {done.returncode}:\n{done.stderr}")
    peak = int(done.stderr.split("peak ")[-1].split()[0]) * 1024 / 1e6
    return list(csv.DictReader(io.StringIO(done.stdout))), peak


def curve(records, column="test_rmse"):
    return [(float(record["seconds"]), float(record[column])) for record in records]


def libmf(train, test, k, rate, penalty, passes, timed):
    """Test RMSE after each pass, or with `timed` the seconds until then."""
    head = [*PREFIX, "stdbuf", "-oL", str(LIBMF), "-f", 0, "-k", k, "-t", passes, "-s", THREADS]
    more = [] if timed else ["-p", test]
    with tempfile.TemporaryDirectory() as folder:
        command = list(map(str, [*head, "-r", rate, "-l2", penalty, *more, train, Path(folder) / "model"]))
        log(" ".join(command))
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        begin, seconds, errors = None, [], []
        for line in process.stdout:
            fields = line.split()
            if fields[:1] == ["iter"]:
                begin = time.monotonic()
            elif begin and fields and fields[0].isdigit():
                seconds.append(time.monotonic() - begin)
                errors.append(float(fields[2]))
        process.wait()
    return seconds if timed else errors


def reached(points, target):
    return next((seconds for seconds, error in points if error <= target), None)


def passes_to(points, target):
    return next((at for at, (_, error) in enumerate(points) if error <= target), PASSES)


def time_to_target(out, only):
    """Time to LIBMF's best test RMSE, and to one a little above it, each with its own best settings."""
    rows, grid = [], []
    for (name, k), (penalties, own) in GRID.items():
        if only and only != f"{name}:{k}":
            continue
        files = data(name)
        if files is None:
            continue
        train, test = files
        base = [train, "--test", test, "-k", k, "--workers", THREADS, "--tolerance", 0]
        ours = {}
        for rate in RATES[1]:
            for penalty in own:
                flags = ["--learning-rate", rate, "--regularization", penalty, "--clocks", PASSES]
                ours[rate, penalty] = curve(petuum([*base, *flags])[0])
                grid.append([name, k, "petuum", rate, penalty, min(error for _, error in ours[rate, penalty])])
        theirs = {}
        if LIBMF.exists():
            for rate in RATES[0]:
                for penalty in penalties:
                    errors = libmf(train, test, k, rate, penalty, PASSES, False)
                    theirs[rate, penalty] = errors
                    grid.append([name, k, "LIBMF", rate, penalty, min(errors)])
            best = min(min(errors) for errors in theirs.values())
        else:
            print(f"skipped: no LIBMF at {LIBMF}", file=sys.stderr)
            best = min(min(error for _, error in points) for points in ours.values())
        for label, target in [("LIBMF's best", best), ("LIBMF's best + 0.5 %", 1.005 * best)]:
            # All settings take the same time a pass, so passes decide, which other work does not disturb.
            rate, penalty = min(ours, key=lambda settings: passes_to(ours[settings], target))
            flags = ["--learning-rate", rate, "--regularization", penalty, "--clocks", PASSES]
            own_times = []
            for _ in range(REPETITIONS):
                records, _ = petuum([*base, *flags])
                own_times.append(reached(curve(records), target) or float("nan"))
            seconds = statistics.median(own_times)
            row = [name, k, label, round(target, 4), rate, penalty, round(seconds, 3)]
            if theirs:
                needed = {
                    settings: next(pass_ for pass_, error in enumerate(errors, 1) if error <= target)
                    for settings, errors in theirs.items()
                    if min(errors) <= target
                }
                rate, penalty = min(needed, key=needed.get)
                passes = needed[rate, penalty]
                times = [libmf(train, test, k, rate, penalty, passes, True)[-1] for _ in range(REPETITIONS)]
                other = statistics.median(times)
                row += [rate, penalty, passes, round(other, 3), round(seconds / other, 3)]
            rows.append(row)
    suffix = f"-{only.replace(':', '-')}" if only else ""
    header = ["set", "k", "what", "test_rmse", "petuum_rate", "petuum_regularization", "petuum_seconds"]
    header += ["libmf_rate", "libmf_l2", "libmf_passes", "libmf_seconds", "ratio"]
    write(out / f"mf-time{suffix}.csv", header, rows)
    write(out / f"mf-grid{suffix}.csv", ["set", "k", "run", "rate", "penalty", "best_test_rmse"], grid)


def methods(out, _only):
    """The methods at k = 32 on the planted ratings."""
    train, test = data("ten")
    rows = []
    for label, extra in [
        ("sgd", ["--regularization", 0.03, "--clocks", 10]),
        ("als", ["--method", "als", "--regularization", 0.05, "--clocks", 15]),
        ("ccd", ["--method", "ccd", "--regularization", 0.05, "--clocks", 15]),
    ]:
        runs = [petuum([train, "--test", test, "-k", 32, "--workers", THREADS, "--tolerance", 0, *extra]) for _ in range(REPETITIONS)]
        seconds = statistics.median(float(records[-1]["seconds"]) for records, _ in runs)
        records, peak = runs[0]
        per_pass = seconds / len(records)
        best = min(error for _, error in curve(records))
        rows.append([f"petuum {label}", len(records), round(per_pass, 3), round(seconds, 2), round(best, 4), round(peak)])
    try:
        import cmfrec
        import pandas
    except ImportError:
        print("skipped: no cmfrec (pip install cmfrec)", file=sys.stderr)
    else:
        names = ["UserId", "ItemId", "Rating"]
        ratings, held = (pandas.read_csv(path, sep="\t", names=names) for path in (train, test))
        model = cmfrec.CMF(k=32, lambda_=0.05, scale_lam=True, scale_lam_sideinfo=False, method="als",
                           use_cg=False, niter=15, nthreads=THREADS, verbose=False)
        begin = time.monotonic()
        model.fit(ratings)
        seconds = time.monotonic() - begin
        error = (model.predict(held.UserId, held.ItemId) - held.Rating) ** 2
        rows.append([f"cmfrec {cmfrec.__version__} als, with its set-up", 15, round(seconds / 15, 3), round(seconds, 2), round(float(error.mean()) ** 0.5, 4), ""])
    write(out / "mf-methods.csv", ["run", "passes", "seconds_per_pass", "seconds", "best_test_rmse", "peak_mb"], rows)


def implicit(out, _only):
    """Weighted ALS on the planted ratings as if they were counts: k = 32, confidence 1 + r, lambda 1."""
    train, test = data("ten")
    # The package's own advice: its threads, not those of its BLAS.
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    passes, rows = 5, []
    flags = ["--method", "als", "--implicit", "--confidence", 1, "--regularization", 1, "-k", 32]
    runs = [petuum([train, "--test", test, *flags, "--workers", THREADS, "--tolerance", 0, "--clocks", passes])[0] for _ in range(REPETITIONS)]
    seconds = statistics.median(float(records[-1]["seconds"]) for records in runs)
    rows.append(["petuum", passes, round(seconds / passes, 3), float(runs[0][-1]["objective"])])
    try:
        import numpy
        import scipy.sparse
        from implicit import __version__
        from implicit.cpu.als import AlternatingLeastSquares
    except ImportError:
        print("skipped: no implicit (pip install implicit)", file=sys.stderr)
    else:
        users, items, values = numpy.loadtxt(train, unpack=True)
        # The package takes confidences: 1 + r.
        matrix = scipy.sparse.csr_matrix((1 + values, (users.astype(int), items.astype(int))), dtype=numpy.float32)
        matrix = matrix[numpy.diff(matrix.indptr) > 0]
        for label, cg in [("exact", False), ("conjugate gradients", True)]:
            times = []
            for _ in range(REPETITIONS):
                model = AlternatingLeastSquares(factors=32, regularization=1.0, alpha=1.0, use_cg=cg,
                                                iterations=passes, num_threads=THREADS, random_state=1)
                begin = time.monotonic()
                model.fit(matrix, show_progress=False)
                times.append(time.monotonic() - begin)
            p, q = model.user_factors.astype(float), model.item_factors.astype(float)
            rated = numpy.diff(matrix.tocsc().indptr) > 0
            value = ((p.T @ p) * (q.T @ q)).sum() + (p**2).sum() + (q[rated] ** 2).sum()
            rows_, columns = matrix.nonzero()
            for at in range(0, len(rows_), 1_000_000):
                part = slice(at, at + 1_000_000)
                score = numpy.einsum("ij,ij->i", p[rows_[part]], q[columns[part]])
                value += (matrix.data[part] * (1 - score) ** 2 - score**2).sum()
            rows.append([f"implicit {__version__}, {label}", passes, round(statistics.median(times) / passes, 3), float(value)])
    write(out / "mf-implicit.csv", ["run", "passes", "seconds_per_pass", "objective"], rows)


def tcp(out, _only):
    """Pairs of runs: one process with two workers, two TCP processes with one each."""
    train, test = data("ten")
    hosts = tempfile.NamedTemporaryFile("w", suffix=".txt", delete=False)
    hosts.write("localhost slots=1\nlocalhost slots=1\n")
    hosts.close()
    rows = []
    for k, target in [(32, 0.745), (128, 0.745)]:
        base = [train, "--test", test, "-k", k, "--regularization", 0.03, "--tolerance", 0, "--clocks", 8]
        pairs = []
        for _ in range(5):
            alone = curve(petuum([*base, "--workers", 2])[0])
            both = curve(petuum([*base, "--hosts", hosts.name])[0])
            pairs.append((reached_or_last(alone, target), reached_or_last(both, target)))
        medians = [statistics.median(side) for side in zip(*pairs)]
        ratio = statistics.median(two / one for one, two in pairs)
        rows.append([k, target, *(round(seconds, 3) for seconds in medians), round(ratio, 3)])
    write(out / "mf-tcp.csv", ["k", "test_rmse", "one_process_seconds", "two_processes_seconds", "ratio_median_of_pairs"], rows)


def reached_or_last(points, target):
    return reached(points, target) or points[-1][0]





def main():
    global WORK, PREFIX
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = {"time": time_to_target, "methods": methods, "implicit": implicit, "tcp": tcp}
    parser.add_argument("what", choices=list(what))
    parser.add_argument("--out", type=Path, default=Path("benches/runs/unnamed"))
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "petuum-mf")
    parser.add_argument("--only")
    parser.add_argument("--prefix", default="", help="command that runs each command, such as nice")
    arguments = parser.parse_args()
    WORK, PREFIX = arguments.work, shlex.split(arguments.prefix)
    for folder in (arguments.out, arguments.work):
        folder.mkdir(parents=True, exist_ok=True)
    what[arguments.what](arguments.out, arguments.only)
    environment(arguments.out / "mf-environment.txt")


if __name__ == "__main__":
    main()
