#!/usr/bin/env python3
"""B1: the largest models of `petuum lda` on one machine.

    benches/suite/lda_huge.py bigrams  [--scale 1] [--passes 10] [--work DIR] [--out DIR]
    benches/suite/lda_huge.py millions [--scale 1] [--passes 5]  [--work DIR] [--out DIR]

`bigrams` has the marginals of STRADS' Wikipedia bigrams (Lee et al., NIPS 2014): 2.5 M documents, 79 M
tokens, 21.8 M words with Zipf's law, 10,000 topics; `millions` has a million words and a million
topics. Both are synthetic, from `petuum generate lda`, and made again unless they are in --work.
--scale 0.1 makes a tenth of documents, words and topics.

Words x topics (218 billion, a trillion) is the number of parameters that the model has on paper. Its
tables are sparse: no more counts can differ from zero than there are tokens, and the CSV says how many
do. Writes seconds per pass, peak memory and log-likelihood by pass to lda-huge-NAME.csv, what each
step took to lda-huge-NAME-steps.csv.
"""

import argparse
import csv
import io
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from results import PETUUM, environment, log, write

# Documents, mean tokens of a document, words, topics.
MODELS = {
    "bigrams": (2_500_000, 31.6, 21_800_000, 10_000),
    "millions": (2_500_000, 31.6, 1_000_000, 1_000_000),
}


def step(arguments, keep=False):
    """Runs petuum; its stdout, seconds and peak memory in MiB, mapped files included."""
    command = [str(PETUUM), *map(str, arguments)]
    log(" ".join(command))
    start = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE if keep else subprocess.DEVNULL, text=True)
    lines = []
    if keep:
        for line in process.stdout:
            lines.append((time.monotonic() - start, line))
            print(line, end="", file=sys.stderr, flush=True)
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        sys.exit(f"{' '.join(command)}\nended with {status}")
    return lines, time.monotonic() - start, usage.ru_maxrss / 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", choices=MODELS)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--passes", type=int, default=10)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--work", type=Path, default=Path("/tmp/lda-huge"))
    parser.add_argument("--out", type=Path, default=Path("benches/runs/unnamed"))
    parser.add_argument("--save", action="store_true", help="also save the model, in --work")
    parser.add_argument("more", nargs="*", help="further options of petuum lda, after --")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    documents, length, words, topics = MODELS[arguments.model]
    documents, words, topics = (max(1, round(n * arguments.scale)) for n in (documents, words, topics))
    name = f"{arguments.model}-{arguments.scale:g}"
    text, cache = arguments.work / f"docword.{name}.txt", arguments.work / f"{name}.cache"
    steps = []
    if not cache.exists():
        made = ["generate", "lda", "-q", "--plain", "--force", "-o", arguments.work, "--name", name]
        # Three topics a document or so, however many there are.
        made += ["--documents", documents, "--words", words, "-k", topics, "--length", length, "--alpha", 3 / topics]
        steps.append(["generate", *step(made)[1:]])
        # The words' names are numbers: nothing is lost without them.
        (arguments.work / f"vocab.{name}.txt").unlink()
        steps.append(["convert", *step(["convert", "-q", "--force", text, "-o", cache])[1:]])
        text.unlink()
    train = ["lda", cache, "-q", "-k", topics, "--alpha", 3 / topics, "--beta", 0.01, "--workers", arguments.workers]
    train += ["--clocks", arguments.passes, *arguments.more]
    folder = arguments.work / f"{name}.model"
    if arguments.save:
        train += ["-o", folder, "--force"]
    lines, wall, peak = step(train, keep=True)
    records = list(csv.DictReader(io.StringIO("".join(line for _, line in lines))))
    steps.append([f"train {arguments.passes} passes", wall, peak])
    steps.append(["until the first record", lines[1][0], ""])
    before, rows = 0.0, []
    for record in records:
        seconds = float(record["seconds"])
        rows.append([record["clock"], round(seconds, 2), round(seconds - before, 2), record["loglik_per_token"], round(peak)])
        before = seconds
    write(arguments.out / f"lda-huge-{name}.csv", ["pass", "seconds", "seconds_of_pass", "loglik_per_token", "peak_mib_of_run"], rows)
    if arguments.save:
        size = sum(file.stat().st_size for file in folder.iterdir())
        data = (folder / "model.safetensors").open("rb")
        header = json.loads(data.read(int.from_bytes(data.read(8), "little")))
        steps.append([f"model: {header['word_topics']['shape'][0]} counts above 0, MiB", "", size / 2**20])
    steps = [[what, seconds and round(seconds, 2), peak and round(peak)] for what, seconds, peak in steps]
    write(arguments.out / f"lda-huge-{name}-steps.csv", ["step", "seconds", "peak_mib"], steps)
    about = f"{name}: {documents} documents, {words} words x {topics} topics = {words * topics / 1e9:g} billion parameters on paper, sparse"
    environment(arguments.out / "lda-huge-environment.txt", about)


if __name__ == "__main__":
    main()
