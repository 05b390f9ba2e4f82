#!/usr/bin/env python3
"""`petuum dnn` beside its peers.

    benches/suite/dnn.py speed    [--out DIR]   training samples/s, batch 128, 1 and 2 threads, beside JAX
    benches/suite/dnn.py accuracy [--out DIR]   test accuracy after 15 passes with the defaults, five seeds

Needs a release build of petuum (cargo build --release), NumPy, and for `accuracy` the sets in
$PETUUM_DATA (default ../shared/data). JAX (pip install jax) is looked for in the Python named by
$PEER_PYTHON (default: this one) and skipped by name if it is not there. Figures go to DIR/dnn-*.csv.
"""

import argparse
import csv
import io
import os
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
PETUUM = Path(os.environ.get("PETUUM", ROOT / "target/release/petuum"))
DATA = Path(os.environ.get("PETUUM_DATA", ROOT / "../shared/data")).resolve()
PEER = os.environ.get("PEER_PYTHON", sys.executable)
NETS = {"784,1024,1024,10": 40_000, "440,2048,2048,2048,2001": 12_000}
ROUNDS = 3


def petuum(*arguments):
    command = [str(PETUUM), "dnn", "-q", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}\nended with {done.returncode}:\n{done.stderr}")
    return list(csv.DictReader(io.StringIO(done.stdout)))


def flops(sizes):
    products = [a * b for a, b in zip(sizes, sizes[1:])]
    return 6 * sum(products) - 2 * products[0]


def speed(out):
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for net, samples in NETS.items():
            sizes = [int(size) for size in net.split(",")]
            rng = np.random.default_rng(0)
            x, y = Path(folder, "x.npy"), Path(folder, "y.npy")
            np.save(x, rng.standard_normal((samples, sizes[0]), "float32"))
            np.save(y, np.r_[: sizes[-1], rng.integers(0, sizes[-1], samples - sizes[-1])])
            for threads in (1, 2):
                ours, theirs = [], []
                for _ in range(ROUNDS):
                    hidden = ",".join(map(str, sizes[1:-1]))
                    records = petuum(x, "--targets", y, "--layers", hidden, "--optimizer", "sgd", "--learning-rate", 0.01,
                                     "--holdout", 0, "--clocks", 2, "--workers", threads)
                    seconds = [float(record["seconds"]) for record in records]
                    ours.append(samples / (seconds[1] - seconds[0]))
                    theirs += jax(net, threads)
                rows += row(net, threads, "petuum", ours, sizes) + row(net, threads, "jax", theirs, sizes)
    write(out, "dnn-speed.csv", rows)


def jax(net, threads):
    script = ROOT / "benches/suite/dnn_jax.py"
    done = subprocess.run([PEER, script, net, str(threads)], capture_output=True, text=True)
    found = re.search(r"(\d+) samples/s", done.stdout)
    if not found:
        print(f"skipped: no jax in {PEER}", file=sys.stderr)
        return []
    return [float(found[1])]


def row(net, threads, who, rates, sizes):
    if not rates:
        return []
    rate = statistics.median(rates)
    return [{"net": net, "threads": threads, "program": who, "samples_per_second": round(rate),
             "gflops": round(rate * flops(sizes) / 1e9), "lowest": round(min(rates)), "highest": round(max(rates))}]


def accuracy(out):
    fashion, phoneme = DATA / "fashion-mnist", DATA / "phoneme/phoneme.csv.gz"
    tasks = {
        "fashion-mnist": (fashion, [fashion / "train-images-idx3-ubyte.gz", "--test", fashion / "t10k-images-idx3-ubyte.gz"]),
        "phoneme": (phoneme, [phoneme, "--target-column", "g", "--drop-columns", "1,speaker"]),
    }
    rows = []
    for name, (path, arguments) in tasks.items():
        if not path.exists():
            print(f"skipped: no {path}", file=sys.stderr)
            continue
        for seed in range(1, 6):
            last = petuum(*arguments, "--seed", seed)[-1]
            rows.append({"set": name, "seed": seed, "passes": last["clock"], "test_accuracy": last["test_accuracy"],
                         "test_loss": last["test_loss"], "seconds": last["seconds"]})
    write(out, "dnn-accuracy.csv", rows)


def write(out, name, rows):
    if not rows:
        return
    out.mkdir(parents=True, exist_ok=True)
    with open(out / name, "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    print((out / name).read_text(), end="")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["speed", "accuracy"])
    parser.add_argument("--out", type=Path, default=Path("."))
    options = parser.parse_args()
    {"speed": speed, "accuracy": accuracy}[options.what](options.out)
