#!/usr/bin/env python3
"""`petuum lda` beside its peers, on real corpora.

    benches/suite/lda.py quality  [--out DIR]   log-likelihood per token after 100 passes, beside tomotopy
    benches/suite/lda.py cost     [--out DIR]   tokens/s, memory, time to first record, TCP against threads
    benches/suite/lda.py rotation [--out DIR]   T7: log-likelihood by pass, rotation and data-parallel, 1 to 32 workers

Needs a release build of petuum (cargo build --release) and the corpora in $PETUUM_DATA (default
../shared/data); peers that are not installed are skipped by name (pip install tomotopy). Every
run's command, versions and hardware go to DIR/environment.txt, the figures to DIR/*.csv.
"""

import argparse
import csv
import gzip
import io
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import picture
from results import DATA, PETUUM, environment, log, write

CORPORA = {
    "kos": (DATA / "kos/docword.kos.txt.gz", 50),
    "imdb": (DATA / "imdb/docword.imdb.txt.gz", 100),
}
# T7: the numbers of workers, and the clocks that reads of data-parallel runs may miss.
WORKERS, STALENESS = (1, 2, 4, 8, 16, 32), (0, 3, 10)


def corpus(name):
    path, topics = CORPORA[name]
    if not path.exists():
        print(f"skipped: no {path}", file=sys.stderr)
        return None, topics
    return path, topics


def run(arguments, **limits):
    """Runs petuum; returns its records, wall seconds, CPU seconds and peak memory in MiB of the largest process."""
    command = [str(PETUUM), *map(str, arguments)]
    log(" ".join(command))
    start = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    first, lines = None, []
    for line in process.stdout:
        lines.append(line)
        if len(lines) == 2:
            first = time.monotonic() - start
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - start
    if status != 0:
        sys.exit(f"{' '.join(command)}\nended with {status}:\n{errors}")
    records = list(csv.DictReader(io.StringIO("".join(lines))))
    return {
        "records": records,
        "wall": wall,
        "first_record": first,
        "cpu": usage.ru_utime + usage.ru_stime,
        "rss_mib": usage.ru_maxrss / 1024,
    }


def two_processes():
    """A hosts file of two local ranks with one worker each."""
    hosts = tempfile.NamedTemporaryFile("w", suffix=".txt", delete=False)
    hosts.write("localhost slots=1\nlocalhost slots=1\n")
    hosts.close()
    return hosts.name


def tomotopy_quality(path, topics, passes):
    try:
        import tomotopy
    except ImportError:
        print("skipped: no tomotopy (pip install tomotopy)", file=sys.stderr)
        return None
    documents = {}
    opener = gzip.open if str(path).endswith(".gz") else open
    with opener(path, "rt") as lines:
        for _ in range(3):
            next(lines)
        for line in lines:
            document, word, count = line.split()
            documents.setdefault(int(document), []).extend([word] * int(count))
    model = tomotopy.LDAModel(
        tw=tomotopy.TermWeight.ONE, min_cf=0, rm_top=0, k=topics, alpha=0.1, eta=0.01, seed=1
    )
    model.optim_interval = 0
    for document in sorted(documents):
        model.add_doc(documents[document])
    model.train(0)
    model.train(passes, workers=1)
    return model.ll_per_word, tomotopy.__version__


def quality(out):
    """Log-likelihood per token after 100 passes, alpha 0.1, beta 0.01."""
    rows = []
    for name in CORPORA:
        path, topics = corpus(name)
        if path is None:
            continue
        reference = tomotopy_quality(path, topics, 100)
        if reference:
            rows.append([name, topics, f"tomotopy {reference[1]}, 1 worker", reference[0], ""])
        base = ["lda", path, "--topics", topics, "--alpha", 0.1, "--beta", 0.01, "--clocks", 100]
        variants = [(f"petuum, {w} workers", ["--workers", w]) for w in (1, 2, 4)]
        variants.append(("petuum, 2 TCP processes", ["--hosts", two_processes()]))
        for label, extra in variants:
            result = run([*base, *extra, "--evaluate-every", 10, "--quiet"])
            last = result["records"][-1]
            value = float(last["loglik_per_token"])
            gap = "" if not reference else f"{100 * (value / reference[0] - 1):+.3f} %"
            rows.append([name, topics, label, value, gap])
    write(out / "lda-quality.csv", ["corpus", "topics", "run", "loglik_per_token", "against_reference"], rows)


def cost(out):
    """Throughput, memory and start-up on imdb, K=100."""
    path, topics = corpus("imdb")
    if path is None:
        return
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        text = Path(folder) / "docword.imdb.txt"
        # In a process of its own: a child's peak memory starts at that of its parent.
        with open(text, "wb") as file:
            subprocess.run(["gzip", "-dc", str(path)], stdout=file, check=True)
        vocabulary = path.parent / "vocab.imdb.txt"
        (Path(folder) / "vocab.imdb.txt").write_bytes(vocabulary.read_bytes())
        cache = Path(folder) / "imdb.petuum"
        converted = run(["convert", text, "--output", cache])
        rows.append(["convert text to cache", "", round(converted["wall"], 2), round(converted["rss_mib"]), "", ""])
        tokens = 9_314_460
        for label, source in [("gz text", path), ("text", text), ("cache", cache)]:
            firsts = []
            for _ in range(5):
                result = run(["lda", source, "--topics", topics, "--workers", 2, "--clocks", 1, "--quiet"])
                seconds = float(result["records"][0]["seconds"])
                firsts.append((result["first_record"], result["first_record"] - seconds, result["rss_mib"]))
            first, before, rss = (statistics.median(column) for column in zip(*firsts))
            rows.append([f"first record from {label}", round(first, 2), round(before, 2), round(rss), "", ""])
        passes = 30
        timings = {"2 workers": [], "2 TCP processes": []}
        for _ in range(5):
            for label, extra in [("2 workers", ["--workers", 2]), ("2 TCP processes", ["--hosts", two_processes()])]:
                result = run(["lda", cache, "--topics", topics, "--clocks", passes, "--evaluate-every", passes, "--quiet", *extra])
                last = result["records"][-1]
                timings[label].append((float(last["seconds"]), result["wall"], result["rss_mib"], float(last["bytes_sent"]) / passes))
        for label, values in timings.items():
            seconds, wall, rss, sent = (statistics.median(column) for column in zip(*values))
            rows.append([f"{passes} passes, {label}", round(seconds, 2), round(wall, 2), round(rss), round(sent), round(passes * tokens / seconds)])
        ratios = [b[0] / a[0] for a, b in zip(timings["2 workers"], timings["2 TCP processes"])]
        rows.append(["TCP time over threads' time, pair by pair, median", round(statistics.median(ratios), 3), "", "", "", ""])
    write(out / "lda-cost.csv", ["what", "seconds", "wall_or_before_training", "peak_mib_per_process", "bytes_per_pass", "tokens_per_second"], rows)


def rotation(out):
    """T7: log-likelihood by pass for rotation and for data-parallel runs, on kos, K=50, three seeds each."""
    path, topics = corpus("kos")
    if path is None:
        return
    base = ["lda", path, "--topics", topics, "--alpha", 0.1, "--beta", 0.01, "--clocks", 120, "--tolerance", 0, "--quiet"]
    variants = {}
    for workers in WORKERS:
        variants[f"rotation, P={workers}"] = ["--workers", workers]
        for staleness in STALENESS:
            extra = ["--parallel", "data", "--consistency", "ssp", "--staleness", staleness]
            variants[f"data-parallel, P={workers}, s={staleness}"] = ["--workers", workers, *extra]
    curves = {}
    for label, extra in variants.items():
        runs = [run([*base, *extra, "--seed", seed])["records"] for seed in (1, 2, 3)]
        curves[label] = [statistics.median(float(r["loglik_per_token"]) for r in clock) for clock in zip(*runs)]
    rows = [[label, clock, value] for label, curve in curves.items() for clock, value in enumerate(curve, 1)]
    write(out / "lda-rotation.csv", ["run", "pass", "median_loglik_per_token"], rows, show=False)
    target = curves["rotation, P=1"][79]
    passes = {label: next((clock for clock, value in enumerate(curve, 1) if value >= target), None) for label, curve in curves.items()}
    rows = [[label, passes[label] or "> 120", curve[99]] for label, curve in curves.items()]
    write(out / "lda-rotation-passes.csv", ["run", f"passes_to_{target:.4f}", "after_100_passes"], rows)
    ways = {"rotation": "rotation, P={}", **{f"data-parallel, s={s}": f"data-parallel, P={{}}, s={s}" for s in STALENESS}}
    bars = [(way, WORKERS, [passes[label.format(workers)] for workers in WORKERS]) for way, label in ways.items()]
    panels = [picture.Panel(f"passes to {target:.3f} (none: > 120)", "workers", "passes", bars=bars)]
    for workers in (2, 8, 32):
        lines = [(way, range(1, 121), curves[label.format(workers)]) for way, label in ways.items()]
        low = curves["rotation, P=1"][4]
        panels.append(picture.Panel(f"P = {workers}", "pass", "ln p(w,z) per token", lines=lines, y_range=(low, max(curves["rotation, P=1"]))))
    picture.save(out / "lda-rotation.svg", *panels)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["quality", "cost", "rotation"])
    parser.add_argument("--out", type=Path, default=Path("benches/runs/unnamed"))
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    {"quality": quality, "cost": cost, "rotation": rotation}[arguments.what](arguments.out)
    environment(arguments.out / "environment.txt")


if __name__ == "__main__":
    main()
