#!/usr/bin/env python3
"""`petuum dnn` beside its peers.

    benches/suite/dnn.py speed    [--out DIR]   training samples/s, batch 128, 1 and 2 threads, f32 and bf16,
                                                beside JAX and TensorFlow in f32
    benches/suite/dnn.py accuracy [--out DIR]   test accuracy after 15 passes with the defaults, five seeds

Needs a release build of petuum (cargo build --release), NumPy, and for `accuracy` the sets in
$PETUUM_DATA (default ../shared/data). JAX (pip install jax) is looked for in the Python named by
$PEER_PYTHON, TensorFlow (pip install tensorflow-cpu) in that named by $TENSORFLOW_PYTHON (default: this
one); what is not there is skipped by name. --net and --threads take one row of the table at a time.
Figures go to DIR/dnn-*.csv, what they were taken with to DIR/dnn-environment.txt.
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

from results import DATA, PETUUM, ROOT, environment, log
from results import write as write_rows

PEERS = {
    "jax": (os.environ.get("PEER_PYTHON", sys.executable), "dnn_jax.py"),
    "tensorflow": (os.environ.get("TENSORFLOW_PYTHON", sys.executable), "dnn_tensorflow.py"),
}
NETS = {"784,1024,1024,10": 40_000, "440,2048,2048,2048,2001": 12_000}
ROUNDS = 3


def petuum(*arguments):
    command = [str(PETUUM), "dnn", "-q", *map(str, arguments)]
    log(" ".join(["petuum", *command[1:]]))
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}\nended with {done.returncode}:\n{done.stderr}")
    return list(csv.DictReader(io.StringIO(done.stdout)))


def flops(sizes):
    products = [a * b for a, b in zip(sizes, sizes[1:])]
    return 6 * sum(products) - 2 * products[0]


def speed(out, nets, all_threads):
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for net in nets:
            samples = NETS[net]
            sizes = [int(size) for size in net.split(",")]
            rng = np.random.default_rng(0)
            x, y = Path(folder, "x.npy"), Path(folder, "y.npy")
            np.save(x, rng.standard_normal((samples, sizes[0]), "float32"))
            np.save(y, np.r_[: sizes[-1], rng.integers(0, sizes[-1], samples - sizes[-1])])
            for threads in all_threads:
                rates = {}
                for _ in range(ROUNDS):
                    hidden = ",".join(map(str, sizes[1:-1]))
                    for precision in ("f32", "bf16"):
                        records = petuum(x, "--targets", y, "--layers", hidden, "--optimizer", "sgd",
                                         "--learning-rate", 0.01, "--holdout", 0, "--clocks", 3,
                                         "--precision", precision, "--workers", threads)
                        seconds = [float(record["seconds"]) for record in records]
                        rates.setdefault(f"petuum {precision}", []).append(2 * samples / (seconds[2] - seconds[0]))
                    for name in PEERS:
                        rates.setdefault(name, []).extend(peer(name, net, threads))
                for name, of in rates.items():
                    rows += row(net, threads, name, of, sizes)
    write(out, "dnn-speed.csv", rows)


def peer(name, net, threads):
    python, script = PEERS[name]
    done = subprocess.run([python, ROOT / "benches/suite" / script, net, str(threads)], capture_output=True, text=True)
    found = re.search(r"(\d+) samples/s", done.stdout)
    if not found:
        print(f"skipped: no {name} in {python}", file=sys.stderr)
        return []
    log(done.stdout.strip())
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
    if rows:
        out.mkdir(parents=True, exist_ok=True)
        write_rows(out / name, list(rows[0]), [list(row.values()) for row in rows])
        environment(out / "dnn-environment.txt", "script: " + " ".join(sys.argv))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["speed", "accuracy"])
    parser.add_argument("--out", type=Path, default=Path("."))
    parser.add_argument("--net", choices=[*NETS], help="this one alone")
    parser.add_argument("--threads", type=int, help="so many alone")
    options = parser.parse_args()
    if options.what == "accuracy":
        accuracy(options.out)
    else:
        nets = [options.net] if options.net else [*NETS]
        speed(options.out, nets, [options.threads] if options.threads else [1, 2])
