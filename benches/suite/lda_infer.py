#!/usr/bin/env python3
"""Topics of unseen documents: `petuum predict` beside tomotopy's `infer`, by speed and by what they predict.

    benches/suite/lda_infer.py [--corpus kos|imdb] [-k K] [--out DIR]

One document in ten is kept out of training. Of its tokens, listed by word, every second one tells its
topics and the others are predicted: exp(-mean ln sum_k theta_dk phi_wk), lower is better. Each program
uses its own model (100 passes, alpha 0.1, beta 0.01), and petuum's model is also judged with the
theta of Gibbs samples (a sampler in NumPy, 200 sweeps, mean of the last 100) on the first documents.
"""

import argparse
import gzip
import json
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np

from results import DATA, PETUUM, environment, log, write


def read(path):
    with gzip.open(path, "rt") as lines:
        documents, words, _ = (int(next(lines)) for _ in range(3))
        rows = np.loadtxt(lines, dtype=np.int64, ndmin=2)
    rows[:, :2] -= 1
    return rows, documents, words


def docword(path, rows, documents, words):
    with open(path, "w") as out:
        out.write(f"{documents}\n{words}\n{len(rows)}\n")
        np.savetxt(out, rows + [1, 1, 0], fmt="%d")


def halves(rows):
    """The even and the odd tokens of each document, listed by word."""
    before = np.concatenate([[0], np.cumsum(rows[:, 2])[:-1]])
    first = np.r_[True, rows[1:, 0] != rows[:-1, 0]]
    start = before - before[np.maximum.accumulate(np.where(first, np.arange(len(rows)), 0))]
    even = (start + rows[:, 2] + 1) // 2 - (start + 1) // 2
    split = []
    for count in (even, rows[:, 2] - even):
        kept = rows[count > 0].copy()
        kept[:, 2] = count[count > 0]
        split.append(kept)
    return split


def perplexity(theta, phi, asked):
    log_sum = 0.0
    for piece in np.array_split(asked, 1 + len(asked) // 20_000):
        p = np.einsum("ik,ik->i", theta[piece[:, 0]], phi[piece[:, 1]])
        log_sum += (np.log(p) * piece[:, 2]).sum()
    return float(np.exp(-log_sum / asked[:, 2].sum()))


def tensors(path):
    """As safetensors.numpy.load_file, which need not be installed."""
    types = {"F64": "<f8", "F32": "<f4", "U64": "<u8", "I64": "<i8", "U32": "<u4", "U8": "u1"}
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    found = {}
    for name, about in json.loads(data[8 : 8 + length]).items():
        if name != "__metadata__":
            start, end = (8 + length + offset for offset in about["data_offsets"])
            found[name] = np.frombuffer(data[start:end], types[about["dtype"]]).reshape(about["shape"])
    return found


def model_phi(folder):
    model = tensors(folder / "model.safetensors")
    words, topics = len(model["word_offsets"]) - 1, len(model["alpha"])
    phi = np.full((words, topics), model["beta"][0])
    of_word = np.repeat(np.arange(words), np.diff(model["word_offsets"].astype(np.int64)))
    np.add.at(phi, (of_word, model["word_topics"]), model["word_counts"])
    return phi / (model["topic_totals"] + words * model["beta"][0]), model["alpha"]


def gibbs(known, documents, phi, alpha, sweeps=200, seed=1):
    """theta as the mean over the second half of the sweeps."""
    rng = np.random.default_rng(seed)
    theta = np.tile(alpha / alpha.sum(), (documents, 1))
    for document in range(documents):
        rows = known[known[:, 0] == document]
        tokens = np.repeat(rows[:, 1], rows[:, 2])
        if not len(tokens):
            continue
        z = rng.integers(len(alpha), size=len(tokens))
        counts = np.bincount(z, minlength=len(alpha)).astype(float)
        mean = np.zeros(len(alpha))
        for sweep in range(sweeps):
            for i, word in enumerate(tokens):
                counts[z[i]] -= 1
                sums = np.cumsum((counts + alpha) * phi[word])
                z[i] = min(int(np.searchsorted(sums, rng.random() * sums[-1])), len(alpha) - 1)
                counts[z[i]] += 1
            if sweep >= sweeps // 2:
                mean += counts + alpha
        theta[document] = mean / mean.sum()
    return theta


def predict(folder, data, *extra):
    command = [str(PETUUM), "predict", "--quiet", "--model", str(folder), str(data), *map(str, extra)]
    log(" ".join(command))
    start = time.monotonic()
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    seconds = time.monotonic() - start
    theta = np.loadtxt(text.splitlines()[1:], delimiter=",", ndmin=2)[:, 1:]
    return theta, seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", default="kos")
    parser.add_argument("-k", "--topics", type=int, default=100)
    parser.add_argument("--gibbs", type=int, default=40, help="documents that the sampler in NumPy judges")
    parser.add_argument("--passes", type=int, default=100)
    parser.add_argument("--no-tomotopy", action="store_true")
    parser.add_argument("--out", type=Path, default=Path("benches/runs/unnamed"))
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    path = DATA / arguments.corpus / f"docword.{arguments.corpus}.txt.gz"
    rows, documents, words = read(path)
    is_out = rows[:, 0] % 10 == 0
    train, out = rows[~is_out].copy(), rows[is_out].copy()
    train[:, 0], out[:, 0] = np.unique(train[:, 0], return_inverse=True)[1], out[:, 0] // 10
    unseen = int(out[:, 0].max()) + 1
    known, asked = halves(out)
    rows = []
    with tempfile.TemporaryDirectory() as home:
        home = Path(home)
        docword(home / "train.txt", train, int(train[:, 0].max()) + 1, words)
        docword(home / "known.txt", known, unseen, words)
        docword(home / "none.txt", known[:1], 1, words)
        command = [PETUUM, "lda", home / "train.txt", "--format", "docword", "-k", arguments.topics, "--workers", 2]
        command += ["--clocks", arguments.passes, "--evaluate-every", arguments.passes, "-q", "-o", home / "model"]
        log(" ".join(map(str, command)))
        subprocess.run(list(map(str, command)), check=True, capture_output=True)
        phi, alpha = model_phi(home / "model")
        _, before = predict(home / "model", home / "none.txt", "--format", "docword")
        for passes in (1, 2, 5, 10, 20, 50, 100, 200):
            extra = ["--format", "docword", "--workers", 2, "--passes", passes]
            theta, seconds = predict(home / "model", home / "known.txt", *extra)
            rows.append([arguments.corpus, arguments.topics, f"petuum predict, {passes} passes at most, 2 threads", round(unseen / (seconds - before)), round(perplexity(theta, phi, asked), 2)])
        few = min(arguments.gibbs, unseen)
        some = [part[part[:, 0] < few] for part in (known, asked)]
        for label, judged in [("petuum predict", theta[:few]), ("Gibbs, NumPy", gibbs(some[0], few, phi, alpha))]:
            rows.append([arguments.corpus, arguments.topics, f"{label}, first {few} documents", "", round(perplexity(judged, phi, some[1]), 2)])
    if not arguments.no_tomotopy:
        rows += tomotopy(arguments, train, known, asked, unseen)
    write(arguments.out / f"lda-infer-{arguments.corpus}-{arguments.topics}.csv", ["corpus", "topics", "what", "documents_per_second", "perplexity"], rows)
    environment(arguments.out / "lda-infer-environment.txt")


def tomotopy(arguments, train, known, asked, unseen):
    try:
        import tomotopy
    except ImportError:
        log("skipped: no tomotopy (pip install tomotopy)")
        return []

    def texts(rows, documents):
        lists = [[] for _ in range(documents)]
        for document, word, count in rows:
            lists[document] += [str(word)] * count
        return lists

    model = tomotopy.LDAModel(k=arguments.topics, alpha=0.1, eta=0.01, seed=1)
    model.optim_interval = 0
    for text in filter(None, texts(train, int(train[:, 0].max()) + 1)):
        model.add_doc(text)
    model.train(arguments.passes, workers=2)
    numbers = {word: number for number, word in enumerate(model.used_vocabs)}
    phi = np.array([model.get_topic_word_dist(k) for k in range(model.k)]).T
    inside = np.array([str(word) in numbers for word in asked[:, 1]])
    kept = asked[inside].copy()
    kept[:, 1] = [numbers[str(word)] for word in kept[:, 1]]
    rows = []
    for iterations in (10, 20, 100):
        made = [model.make_doc(text) if text else None for text in texts(known, unseen)]
        start = time.monotonic()
        theta, _ = model.infer([made_one for made_one in made if made_one], iterations=iterations, workers=2)
        seconds = time.monotonic() - start
        found = iter(theta)
        theta = np.array([next(found) if made_one else np.full(model.k, 1 / model.k) for made_one in made])
        label = f"tomotopy {tomotopy.__version__} infer, {iterations} iterations, 2 threads, its own model"
        rows.append([arguments.corpus, arguments.topics, label, round(unseen / seconds), round(perplexity(theta, phi, kept), 2)])
    return rows


if __name__ == "__main__":
    main()
