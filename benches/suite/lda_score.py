"""What the LDA comparisons measure, by one program for all tools: corpora with a held-out part, the joint
log-likelihood of exported topic assignments, and the document-completion score of held-out documents.

Needs numpy and scipy.
"""

import gzip
import json
from pathlib import Path

import numpy as np
from scipy.sparse import csr_matrix
from scipy.special import gammaln

# Fixed-point steps for the topics of a held-out document.
STEPS = 20


class Corpus:
    """Tokens in the order of documents, word ids sorted within each: `words[offsets[d]:offsets[d + 1]]`."""

    def __init__(self, offsets, words, vocabulary):
        self.offsets, self.words, self.vocabulary = offsets, words, vocabulary
        self.documents = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))

    def __len__(self):
        return len(self.offsets) - 1

    @property
    def tokens(self):
        return len(self.words)

    def document(self, d):
        return self.words[self.offsets[d] : self.offsets[d + 1]]

    def save(self, path):
        """i32 documents and words, i64 tokens and offsets, i32 word of each token."""
        with open(path, "wb") as file:
            file.write(np.array([len(self), self.vocabulary], "<i4").tobytes())
            file.write(np.array([self.tokens, *self.offsets], "<i8").tobytes())
            file.write(self.words.astype("<i4").tobytes())

    def save_docword(self, path):
        key = self.documents * self.vocabulary + self.words
        pairs, counts = np.unique(key, return_counts=True)
        table = np.column_stack([pairs // self.vocabulary + 1, pairs % self.vocabulary + 1, counts])
        with open(path, "w") as file:
            file.write(f"{len(self)}\n{self.vocabulary}\n{len(counts)}\n")
            file.write("\n".join(f"{d} {w} {c}" for d, w, c in table.tolist()) + "\n")


def read_docword(path):
    """A corpus of the documents that have tokens."""
    opener = gzip.open if str(path).endswith(".gz") else open
    with opener(path, "rt") as file:
        _, vocabulary, _ = (int(next(file)) for _ in range(3))
        table = np.fromstring(file.read(), dtype=np.int64, sep=" ").reshape(-1, 3)
    table = table[np.lexsort((table[:, 1], table[:, 0]))]
    return _corpus(np.repeat(table[:, 0], table[:, 2]), np.repeat(table[:, 1] - 1, table[:, 2]), vocabulary)


def _corpus(documents, words, vocabulary):
    starts = np.flatnonzero(np.diff(documents, prepend=-1))
    return Corpus(np.append(starts, len(words)), words, vocabulary)


def hold_out(corpus, part=0.05, seed=1):
    """(training corpus, held-out documents as arrays of words). Words are renumbered to those that the
    training part has, so that every tool has the same vocabulary; tokens of other words are left out."""
    generator = np.random.default_rng(seed)
    held = np.zeros(len(corpus), bool)
    held[generator.permutation(len(corpus))[: int(part * len(corpus))]] = True
    kept = ~held[corpus.documents]
    ids = np.full(corpus.vocabulary, -1)
    used = np.unique(corpus.words[kept])
    ids[used] = np.arange(len(used))
    training = _corpus(corpus.documents[kept], ids[corpus.words[kept]], len(used))
    others = []
    for d in np.flatnonzero(held):
        words = ids[corpus.document(d)]
        words = generator.permutation(words[words >= 0])
        if len(words) >= 2:
            others.append(words)
    return training, others


class Counts:
    """Counts of a model: (word, topic, count) for the pairs that occur, totals of topics."""

    def __init__(self, words, topics, counts, vocabulary, size):
        order = np.argsort(words, kind="stable")
        self.words, self.topics, self.counts = words[order], topics[order], counts[order]
        self.rows = np.searchsorted(self.words, np.arange(vocabulary + 1))
        self.totals = np.bincount(topics, counts, size)
        self.vocabulary, self.size = vocabulary, size

    @classmethod
    def of_assignments(cls, corpus, assignments, size):
        pairs, counts = np.unique(corpus.words * size + assignments, return_counts=True)
        return cls(pairs // size, pairs % size, counts, corpus.vocabulary, size)


def joint(words, documents, lengths, alpha, beta):
    """ln p(w, z), collapsed (Griffiths & Steyvers 2004), from counts: `words` a Counts, `documents` the
    counts above zero of topics in documents (their topics do not matter for one alpha), `lengths` of documents."""
    v, k = words.vocabulary, words.size
    of_words = np.sum(gammaln(v * beta) - gammaln(words.totals + v * beta))
    of_words += np.sum(gammaln(words.counts + beta) - gammaln(beta))
    of_documents = np.sum(gammaln(k * alpha) - gammaln(lengths + k * alpha))
    of_documents += np.sum(gammaln(documents + alpha) - gammaln(alpha))
    return of_words + of_documents


def joint_of_assignments(corpus, assignments, size, alpha, beta):
    """(ln p(w, z) per token, Counts)."""
    words = Counts.of_assignments(corpus, assignments, size)
    _, documents = np.unique(corpus.documents * size + assignments, return_counts=True)
    return joint(words, documents, np.diff(corpus.offsets), alpha, beta) / corpus.tokens, words


def completion(words, held_out, alpha, beta, most=1000):
    """Mean ln p of every second token of the held-out documents (the first `most` of them), whose topics are
    estimated from the others: `STEPS` steps of  n_k <- sum over tokens of p(k | token, theta),
    theta_k ~ n_k + alpha."""
    table = csr_matrix((words.counts.astype(float), words.topics, words.rows), shape=(words.vocabulary, words.size))
    # p(word | k) = (n_wk + beta) * scale_k
    scale = 1 / (words.totals + words.vocabulary * beta)
    total, tokens = 0.0, 0
    for document in held_out[:most]:
        ids, where = np.unique(document, return_inverse=True)
        rows = table[ids]
        columns = rows.T.tocsr()
        times = np.bincount(where[0::2], minlength=len(ids))
        theta = np.full(words.size, 1 / words.size)
        for _ in range(STEPS):
            scaled = scale * theta
            share = times / (rows @ scaled + beta * scaled.sum())
            theta = (scaled * (columns @ share + beta * share.sum()) + alpha) / (times.sum() + words.size * alpha)
        scaled = scale * theta
        total += np.sum(np.log((rows @ scaled + beta * scaled.sum())[where[1::2]]))
        tokens += len(where[1::2])
    return total / tokens


def read_model(folder):
    """(Counts, counts of topics in documents or None, lengths) of a model that petuum saved."""
    raw = (Path(folder) / "model.safetensors").read_bytes()
    size = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + size])
    types = {"U64": "<u8", "U32": "<u4", "U16": "<u2", "I32": "<i4", "F64": "<f8", "F32": "<f4"}

    def tensor(name):
        about = header[name]
        begin, end = about["data_offsets"]
        return np.frombuffer(raw[8 + size + begin : 8 + size + end], types[about["dtype"]]).astype(np.int64)

    offsets = tensor("word_offsets")
    words = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    topics = len(tensor("topic_totals"))
    counts = Counts(words, tensor("word_topics"), tensor("word_counts"), len(offsets) - 1, topics)
    if "document_counts" not in header:
        return counts, None, None
    documents, offsets = tensor("document_counts"), tensor("document_offsets")
    sums = np.concatenate([[0], np.cumsum(documents)])
    return counts, documents, np.diff(sums[offsets])
