#!/usr/bin/env python3
"""T8: tokens per second of each sampler of `petuum lda`, by the number of topics, on short and long
documents, in early and in late passes.

    benches/suite/lda_samplers.py [--out DIR] [--topics 100,1000,10000,100000]
                                  [--samplers auto,dense,sparse,alias,warp] [--corpora imdb,short,long]
                                  [--workers 2] [--cap 60] [--late 40] [--repeat 1] [--perf]

imdb is the corpus of that name in $PETUUM_DATA (93 tokens a document); short and long are generated with
`petuum generate lda` (30 and 1,000 tokens a document, three million tokens each, 20,000 words, 500 topics).
Early is the mean of passes 2 to 4, late that of the last three of --late passes; a run that ends before, after
--cap seconds of training, has "capped" instead, and the passes are in their column. A sampler that this
petuum does not have is skipped by name.

--perf counts instructions and cache misses a token with `perf stat`, as the difference of two runs of 1 and 4
passes (early), and of --late and --late + 3 (late), where the machine has counters.

Figures: DIR/lda-samplers.csv, DIR/lda-samplers.svg, DIR/lda-samplers-perf.csv.
"""

import argparse
import csv
import io
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import picture
from results import DATA, PETUUM, environment, log, write

SAMPLERS = ["auto", "dense", "sparse", "alias", "warp"]
GENERATED = {"short": (100_000, 30), "long": (3_000, 1_000)}
EVENTS = ["instructions", "cycles", "cache-misses", "L1-dcache-load-misses", "branch-misses"]


def corpus(name):
    """The file of a corpus; generated ones are made once."""
    if name not in GENERATED:
        path = DATA / f"{name}/docword.{name}.txt.gz"
        if not path.exists():
            print(f"skipped: no {path}", file=sys.stderr)
            return None
        return path
    documents, length = GENERATED[name]
    folder = Path(tempfile.gettempdir()) / f"petuum-samplers-{name}-{documents}-{length}"
    if not (folder / "DONE").exists():
        shutil.rmtree(folder, ignore_errors=True)
        line = [PETUUM, "generate", "lda", "--output", folder, "--name", name, "--documents", documents, "--length", length,
                "--words", 20_000, "--topics", 500, "--alpha", 0.02, "--seed", 1]
        log(" ".join(str(part) for part in line))
        subprocess.run([str(part) for part in line], check=True, capture_output=True)
        (folder / "DONE").touch()
    return folder / f"docword.{name}.txt.gz"


def line(path, topics, sampler, passes, arguments):
    extra = [] if sampler is None else ["--sampler", sampler]
    parts = [PETUUM, "lda", path, "--topics", topics, "--alpha", 0.1, "--beta", 0.01, "--workers", arguments.workers, "--clocks", passes,
             "--tolerance", 0, "--time-limit", arguments.cap, *extra, "--quiet"]
    return [str(part) for part in parts]


def available(arguments):
    """The samplers that this petuum has; without the flag, the one that it has, as None."""
    usage = subprocess.run([str(PETUUM), "lda", "--help"], capture_output=True, text=True).stdout
    if "--sampler" not in usage:
        print("skipped: --sampler (this petuum does not have it); its only sampler is measured", file=sys.stderr)
        return [None]
    about = usage[usage.index("--sampler") :][:1500]
    missing = [sampler for sampler in arguments.samplers if sampler not in about]
    for sampler in missing:
        print(f"skipped: --sampler {sampler} (this petuum does not have it)", file=sys.stderr)
    return [sampler for sampler in arguments.samplers if sampler not in missing]


def rates(path, topics, sampler, arguments):
    """[(when, passes, tokens a second, log-likelihood)] of one run."""
    command = line(path, topics, sampler, arguments.late, arguments)
    log(" ".join(command))
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        print(f"skipped: {' '.join(command)}: {done.stderr.strip().splitlines()[-1]}", file=sys.stderr)
        return []
    records = [{name: float(r[name]) for name in ("clock", "seconds", "objective", "loglik_per_token")} for r in csv.DictReader(io.StringIO(done.stdout))]
    tokens = records[0]["objective"] / records[0]["loglik_per_token"]

    def between(first, last, when):
        seconds = records[last]["seconds"] - (records[first - 1]["seconds"] if first else 0.0)
        return when, f"{first + 1}-{last + 1}", round(tokens * (last + 1 - first) / seconds), records[last]["loglik_per_token"]

    end = len(records) - 1
    found = [between(1, 3, "early")] if end >= 3 else [between(min(1, end), end, "early")]
    if end >= 6:
        found.append(between(end - 2, end, "late" if end + 1 == arguments.late else "capped"))
    return found


def counters(path, topics, sampler, arguments):
    """{(when, event): a token} by perf; {} if there are no counters."""

    def count(passes):
        command = ["perf", "stat", "-x,", "-e", ",".join(EVENTS), *line(path, topics, sampler, passes, arguments)]
        done = subprocess.run(command, capture_output=True, text=True)
        fields = [text.split(",") for text in done.stderr.splitlines() if text.count(",") >= 3]
        records = list(csv.DictReader(io.StringIO(done.stdout)))
        tokens = float(records[0]["objective"]) / float(records[0]["loglik_per_token"])
        return {part[2].split(":")[0]: float(part[0]) for part in fields if part[0].replace(".", "").isdigit()}, tokens, len(records)

    found = {}
    for when, first in (("early", 1), ("late", arguments.late)):
        (before, tokens, ran), (after, _, ran_more) = count(first), count(first + 3)
        if ran_more > ran:
            found |= {(when, event): (after[event] - before[event]) / (tokens * (ran_more - ran)) for event in after if event in before}
    return found


def has_counters():
    if shutil.which("perf") is None:
        return False
    done = subprocess.run(["perf", "stat", "-x,", "-e", "instructions", "true"], capture_output=True, text=True)
    return done.returncode == 0 and "not supported" not in done.stderr


def draw(out, rows, arguments):
    panels = []
    for name in arguments.corpora:
        for when in ("early", "late"):
            lines = []
            for sampler in dict.fromkeys(row[2] for row in rows if row[0] == name):
                points = [(row[1], row[5]) for row in rows if row[0] == name and row[2] == sampler and (row[3] == when or (row[3] == "capped" and when == "late"))]
                if points:
                    lines.append((sampler, [k for k, _ in points], [rate / 1e6 for _, rate in points]))
            if lines:
                panels.append(picture.Panel(f"{name}, {when} passes", "topics", "million tokens a second", lines=lines, log_x=True, log_y=True))
    if panels:
        picture.save(out / "lda-samplers.svg", *panels)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = lambda text: text.split(",")
    parser.add_argument("--out", type=Path, default=Path("benches/runs/unnamed"))
    parser.add_argument("--topics", type=lambda text: [int(k) for k in text.split(",")], default=[100, 1000, 10_000, 100_000])
    parser.add_argument("--samplers", type=names, default=SAMPLERS)
    parser.add_argument("--corpora", type=names, default=["imdb", "short", "long"])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--cap", type=float, default=60)
    parser.add_argument("--late", type=int, default=40)
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--perf", action="store_true")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    counting = arguments.perf and has_counters()
    if arguments.perf and not counting:
        print("skipped: perf stat (no perf, or no counters on this machine)", file=sys.stderr)
    samplers = available(arguments)
    rows, perf_rows = [], []
    for name in arguments.corpora:
        path = corpus(name)
        if path is None:
            continue
        for topics in arguments.topics:
            runs = {}
            for _ in range(arguments.repeat):
                for sampler in samplers:
                    for when, passes, rate, value in rates(path, topics, sampler, arguments):
                        runs.setdefault((sampler or "only", when), []).append((passes, rate, value))
            for (sampler, when), found in runs.items():
                middle = round(statistics.median(rate for _, rate, _ in found))
                rows.append([name, topics, sampler, when, found[-1][0], middle, min(f[1] for f in found), max(f[1] for f in found), found[-1][2]])
            if counting:
                for sampler in samplers:
                    for (when, event), value in counters(path, topics, sampler, arguments).items():
                        perf_rows.append([name, topics, sampler or "only", when, event, round(value, 3)])
            header = ["corpus", "topics", "sampler", "when", "passes", "tokens_per_second", "lowest", "highest", "loglik_per_token"]
            write(arguments.out / "lda-samplers.csv", header, rows, show=False)
            if perf_rows:
                write(arguments.out / "lda-samplers-perf.csv", ["corpus", "topics", "sampler", "when", "event", "a_token"], perf_rows, show=False)
            draw(arguments.out, rows, arguments)
    print((arguments.out / "lda-samplers.csv").read_text())
    environment(arguments.out / "lda-samplers-environment.txt")


if __name__ == "__main__":
    main()
