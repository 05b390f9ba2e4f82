#!/usr/bin/env python3
"""tomotopy as a driver for lda_time.py (see there for the arguments and the lines)."""

import sys
import time
import warnings
from pathlib import Path

import numpy as np


def peak_mib():
    line = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def reset_peak():
    """From here on, so that exports are not counted."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        pass


def main():
    import tomotopy

    warnings.simplefilter("ignore")
    path, topics, alpha, beta, threads, seed, limit, passes, prefix = sys.argv[1:]
    raw = Path(path).read_bytes()
    documents, _ = np.frombuffer(raw, "<i4", 2)
    offsets = np.frombuffer(raw, "<i8", documents + 1, 16)
    words = np.frombuffer(raw, "<i4", offset=16 + 8 * (documents + 1))
    model = tomotopy.LDAModel(
        tw=tomotopy.TermWeight.ONE, min_cf=0, rm_top=0, k=int(topics), alpha=float(alpha), eta=float(beta), seed=int(seed)
    )
    model.optim_interval = 0
    names = [str(word) for word in range(words.max() + 1)]
    for d in range(documents):
        model.add_doc([names[word] for word in words[offsets[d] : offsets[d + 1]]])
    model.train(0)
    order = token_order(model, offsets)
    reset_peak()
    spent, done, peak = 0.0, 0, 0.0
    for until in map(int, passes.split(",")):
        start = time.perf_counter()
        # Fewer than `until` when the limit comes before it.
        chunk = until - done
        while chunk > 0 and spent + time.perf_counter() - start <= float(limit):
            step = min(chunk, max(1, until // 10))
            model.train(step, workers=int(threads))
            chunk -= step
        done = until - chunk
        spent += time.perf_counter() - start
        peak = max(peak, peak_mib())
        export(model, order, f"{prefix}{done}")
        print(f"{done} {spent:.6f} 1 {peak:.1f} {model.ll_per_word!r}", flush=True)
        reset_peak()
        if spent > float(limit):
            break


def token_order(model, offsets):
    """Where each token, in the model's order, is among the sorted words of its document."""
    ids = np.array([int(word) for word in model.used_vocabs])
    words = [ids[np.array(document.words)] for document in model.docs]
    return np.concatenate([begin + np.argsort(part, kind="stable") for begin, part in zip(offsets, words)])


def export(model, order, path):
    topics = np.concatenate([document.topics for document in model.docs])
    Path(path).write_bytes(topics[order].astype("<i4").tobytes())


if __name__ == "__main__":
    main()
