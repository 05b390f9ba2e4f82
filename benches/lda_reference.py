#!/usr/bin/env python3
"""An independent collapsed Gibbs sampler for LDA, to compare petuum's objective with.

    python3 lda_reference.py docword.kos.txt.gz -k 50 --passes 100                 # the textbook's, NumPy
    python3 lda_reference.py docword.kos.txt.gz -k 50 --passes 100 --tomotopy      # pip install tomotopy

Prints `pass,seconds,loglik_per_token`: the collapsed joint ln p(w,z) per token, as `petuum lda`.
The textbook's sampler (Griffiths & Steyvers 2004, random first topics, document by document) makes
about 100,000 draws a second.
"""

import argparse
import gzip
import math
import random
import time


def read(path):
    with (gzip.open if path.endswith(".gz") else open)(path, "rt") as lines:
        documents, words, _ = (int(next(lines)) for _ in range(3))
        corpus = [[] for _ in range(documents)]
        for line in lines:
            document, word, count = map(int, line.split())
            corpus[document - 1] += [word - 1] * count
    return corpus, words


def textbook(corpus, words, topics, alpha, beta, seed):
    """Yields ln p(w,z) after each pass."""
    import numpy as np

    rng = np.random.default_rng(seed)
    n_dk = np.zeros((len(corpus), topics))
    n_wk = np.zeros((words, topics))
    n_k = np.zeros(topics)
    z = [rng.integers(topics, size=len(document)) for document in corpus]
    for d, document in enumerate(corpus):
        for w, k in zip(document, z[d]):
            n_dk[d, k] += 1
            n_wk[w, k] += 1
            n_k[k] += 1
    ln_gamma = np.vectorize(math.lgamma)
    while True:
        for d, document in enumerate(corpus):
            of_document, topics_of = n_dk[d], z[d]
            for i, u in enumerate(rng.random(len(document))):
                w, k = document[i], topics_of[i]
                of_document[k] -= 1
                n_wk[w, k] -= 1
                n_k[k] -= 1
                sums = np.cumsum((of_document + alpha) * (n_wk[w] + beta) / (n_k + words * beta))
                k = min(int(np.searchsorted(sums, u * sums[-1], side="right")), topics - 1)
                of_document[k] += 1
                n_wk[w, k] += 1
                n_k[k] += 1
                topics_of[i] = k
        ln_p = topics * math.lgamma(words * beta) - ln_gamma(n_k + words * beta).sum()
        ln_p += (ln_gamma(n_wk[n_wk > 0] + beta) - math.lgamma(beta)).sum()
        ln_p += len(corpus) * math.lgamma(topics * alpha)
        ln_p -= ln_gamma(n_dk.sum(1) + topics * alpha).sum()
        ln_p += (ln_gamma(n_dk[n_dk > 0] + alpha) - math.lgamma(alpha)).sum()
        yield ln_p


def tomotopy(corpus, topics, alpha, beta, seed, every):
    import tomotopy

    model = tomotopy.LDAModel(k=topics, alpha=alpha, eta=beta, seed=seed)
    model.optim_interval = 0
    for document in filter(None, corpus):
        model.add_doc([str(word) for word in document])
    while True:
        model.train(every, workers=1)
        yield model.ll_per_word


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("docword")
    parser.add_argument("-k", "--topics", type=int, default=100)
    parser.add_argument("--alpha", type=float, default=0.1)
    parser.add_argument("--beta", type=float, default=0.01)
    parser.add_argument("--passes", type=int, default=100)
    parser.add_argument("--every", type=int, default=10, help="passes between records")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**31))
    parser.add_argument("--tomotopy", action="store_true")
    args = parser.parse_args()
    corpus, words = read(args.docword)
    tokens = sum(map(len, corpus))
    prior = (args.topics, args.alpha, args.beta, args.seed)
    begun = time.time()
    if args.tomotopy:
        records = zip(range(args.every, args.passes + 1, args.every), tomotopy(corpus, *prior, args.every))
    else:
        values = (ln_p / tokens for ln_p in textbook(corpus, words, *prior))
        records = ((i, v) for i, v in zip(range(1, args.passes + 1), values) if i % args.every == 0)
    print("pass,seconds,loglik_per_token")
    for number, value in records:
        print(f"{number},{time.time() - begun:.2f},{value:.5f}", flush=True)


if __name__ == "__main__":
    main()
