#!/usr/bin/env python3
"""`petuum dml` beside its peers.

    benches/suite/dml.py speed    [--out DIR]   pairs/s at 784 features, beside NumPy
    benches/suite/dml.py accuracy [--out DIR]   isolet: neighbours in the space as it is, of PCA, and of L
    benches/suite/dml.py huge     [--out DIR]   22 million parameters on sparse examples: time and memory

Needs a release build of petuum (cargo build --release), NumPy, and for `accuracy` isolet in
$PETUUM_DATA (default ../shared/data); NCA of scikit-learn (pip install scikit-learn) is skipped by name
if it is not there. The settings of petuum for `accuracy` are chosen on a held-out fifth of the training
examples; the test examples are looked at once, with the settings that were best there. Give NumPy as many threads as petuum (OPENBLAS_NUM_THREADS). Figures go to DIR/dml-*.csv.
"""

import argparse
import csv
import gzip
import io
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from results import DATA, PETUUM, environment, log
from results import write as write_rows

THREADS = int(os.environ.get("OPENBLAS_NUM_THREADS", "1"))


def petuum(*arguments):
    command = [str(PETUUM), "dml", "-q", *map(str, arguments)]
    log(" ".join(["petuum", *command[1:]]))
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}\nended with {done.returncode}:\n{done.stderr}")
    return list(csv.DictReader(io.StringIO(done.stdout)))


def by_numpy(x, y, k, batch, seconds=3.0):
    """Pairs a second of the same objective, pairs drawn before."""
    rng = np.random.default_rng(0)
    matrix = rng.standard_normal((k, x.shape[1])).astype("f4") / x.shape[1]
    one = rng.integers(0, len(x), (50, batch))
    two = rng.integers(0, len(x), (50, batch))
    half, done, begun = batch // 2, 0, time.perf_counter()
    while time.perf_counter() - begun < seconds:
        for a, b in zip(one, two):
            delta = x[a] - x[b]
            images = delta @ matrix.T
            squares = (images * images).sum(1)
            factors = np.full(batch, 2 / half, "f4")
            factors[half:] = np.where(squares[half:] < 1, -2 / half, 0)
            matrix -= 1e-6 * ((images * factors[:, None]).T @ delta)
            done += batch
    return done / (time.perf_counter() - begun)


def speed(out):
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((20_000, 784)).astype("f4"), rng.integers(0, 10, 20_000)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder, "x.npy"), x)
        np.save(Path(folder, "y.npy"), y)
        for k in (100, 300):
            for batch in (100, 1000):
                records = petuum(Path(folder, "x.npy"), "--targets", Path(folder, "y.npy"), "-k", k, "--batch", batch,
                                 "--holdout", 0, "--clocks", 40, "--workers", THREADS, "--initial", "random")
                seconds = [float(record["seconds"]) for record in records]
                ours = 20_000 * 39 / (seconds[-1] - seconds[0])
                theirs = by_numpy(x, y, k, batch)
                for who, rate in (("petuum", ours), ("numpy", theirs)):
                    rows.append({"dimensions": k, "batch": batch, "threads": THREADS, "program": who,
                                 "pairs_per_second": round(rate), "gflops": round(rate * 4 * 784 * k / 1e9)})
    write(out, "dml-speed.csv", rows)


def accuracy(out):
    folder = DATA / "isolet"
    if not folder.exists():
        print(f"skipped: no {folder}", file=sys.stderr)
        return
    train, test = folder / "isolet1+2+3+4.data.gz", folder / "isolet5.data.gz"
    rng = np.random.default_rng(1)
    read = lambda path: np.loadtxt(gzip.open(path, "rt"), delimiter=",")
    a, b = read(train), read(test)
    x, y, u, v = a[:, :-1], a[:, -1], b[:, :-1], b[:, -1]
    z, w = (x - x.mean(0)) / x.std(0), (u - x.mean(0)) / x.std(0)
    directions = np.linalg.svd(z, full_matrices=False)[2][:50]
    rows = [("features as they are", neighbors(x, y, u, v)), ("features to one deviation", neighbors(z, y, w, v)),
            ("pca 50", neighbors(z @ directions.T, y, w @ directions.T, v))]
    shape = ["--format", "csv", "--target-column", "last", "-k", 50]
    chosen, best = [], 0.0
    for weight in (1, 5, 20):
        for batch in (200, 1000):
            options = ["--weight", weight, "--batch", batch]
            last = petuum(train, *shape, "--holdout", 0.2, *options)[-1]
            if float(last["knn_accuracy"]) > best:
                chosen, best = options, float(last["knn_accuracy"])
    for name, options in (("defaults", []), (" ".join(map(str, chosen)), chosen)):
        last = petuum(train, "--test", test, *shape, *options)[-1]
        rows.append((f"petuum dml -k 50 ({name}; {float(last['seconds']):.1f} s)", float(last["knn_accuracy"])))
    try:
        from sklearn.neighbors import NeighborhoodComponentsAnalysis

        begun, some = time.perf_counter(), rng.permutation(len(z))[:2000]
        nca = NeighborhoodComponentsAnalysis(n_components=50, init="pca", max_iter=20, random_state=0).fit(z[some], y[some])
        rows.append((f"scikit-learn NCA 50, 2,000 examples, 20 iterations ({time.perf_counter() - begun:.1f} s)",
                     neighbors(nca.transform(z), y, nca.transform(w), v)))
    except ImportError:
        print("skipped: no scikit-learn", file=sys.stderr)
    write(out, "dml-accuracy.csv", [{"space": name, "knn_accuracy": round(right, 4)} for name, right in rows])


HUGE = {"examples": 20_000, "features": 22_000, "classes": 100, "dimensions": 1000, "passes": 5}


def made_up(path):
    """Labelled examples of about 80 values among 22,000 features: words by a power law, some of each by class."""
    rng = np.random.default_rng(1)
    features, classes = HUGE["features"], HUGE["classes"]
    likely = 1 / np.arange(3, features + 3)
    likely /= likely.sum()
    of_class = rng.permutation(features)[: classes * 100].reshape(classes, 100)
    with open(path, "w") as file:
        for label in rng.integers(0, classes, HUGE["examples"]):
            words = np.concatenate([rng.choice(features, 80, p=likely), rng.choice(of_class[label], 20)])
            found, counts = np.unique(words, return_counts=True)
            pairs = " ".join(f"{word + 1}:{np.log1p(count):.4f}" for word, count in zip(found, counts))
            file.write(f"{label} {pairs}\n")


def huge(out):
    """Time per pass and memory of a metric of 22 million parameters."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder, "sparse.svm")
        made_up(data)
        for threads, holdout in ((1, 0), (2, 0), (2, 0.05)):
            passes = HUGE["passes"]
            options = ["--workers", threads, "--holdout", holdout, "--evaluate-every", passes if holdout else 1]
            command = ["-k", HUGE["dimensions"], "--learning-rate", 100, "--clocks", passes, *options]
            command = [str(PETUUM), "dml", "-q", str(data), *map(str, command)]
            log(" ".join(["petuum", *command[1:]]))
            begun = time.perf_counter()
            done = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            text = done.stdout.read()
            _, status, usage = os.wait4(done.pid, 0)
            whole = time.perf_counter() - begun
            if status != 0:
                sys.exit(f"{' '.join(command)}\nended with {status}")
            records = list(csv.DictReader(io.StringIO(text)))
            first, last = records[0], records[-1]
            clocks = int(last["clock"]) - int(first["clock"])
            seconds = (float(last["seconds"]) - float(first["seconds"])) / clocks if clocks else None
            rows.append({"parameters": HUGE["features"] * HUGE["dimensions"], "threads": threads, "holdout": holdout,
                         "seconds_per_pass": round(seconds, 2) if seconds else "", "seconds_in_all": round(whole, 1),
                         "pairs_per_second": round(HUGE["examples"] / seconds) if seconds else "",
                         "peak_mib": usage.ru_maxrss // 1024, "objective": last["objective"],
                         "knn_accuracy": last["knn_accuracy"]})
    write(out, "dml-huge.csv", rows)


def neighbors(x, y, u, v, k=5):
    distances = (x**2).sum(1)[None] - 2 * u @ x.T
    nearest = np.argpartition(distances, k, 1)[:, :k]
    votes = [np.bincount(y[at].astype(int)).argmax() for at in nearest]
    return float(np.mean(votes == v))


def write(out, name, rows):
    out.mkdir(parents=True, exist_ok=True)
    write_rows(out / name, list(rows[0]), [list(row.values()) for row in rows])
    environment(out / "dml-environment.txt", "script: " + " ".join(sys.argv))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["speed", "accuracy", "huge"])
    parser.add_argument("--out", type=Path, default=Path("."))
    options = parser.parse_args()
    {"speed": speed, "accuracy": accuracy, "huge": huge}[options.what](options.out)
