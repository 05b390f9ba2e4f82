"""The objective of `petuum dml` and its gradient for twelve made-up pairs, in float64 by NumPy: the
numbers that src/program/dml/tests.rs compares petuum's with."""
import numpy as np

D, K, PAIRS, MARGIN, WEIGHT = 7, 3, 12, 0.03, 1.5
s, i = np.meshgrid(np.arange(PAIRS), np.arange(D), indexing="ij")
delta = 0.6 * np.cos(0.4 * s + i + 0.1 * s * i)
r, i = np.meshgrid(np.arange(K), np.arange(D), indexing="ij")
L = 0.3 * np.sin(1 + r + 0.5 * i + 0.2 * r * i)
S, N = delta[: PAIRS // 2], delta[PAIRS // 2 :]
ds, dn = ((S @ L.T) ** 2).sum(1), ((N @ L.T) ** 2).sum(1)
near = dn < MARGIN
print("objective", ds.mean() + WEIGHT * np.maximum(0, MARGIN - dn).mean(), "violations", near.sum())
gradient = 2 / len(S) * (S @ L.T).T @ S - 2 * WEIGHT / len(N) * (N[near] @ L.T).T @ N[near]
for row in gradient:
    print("    [" + ", ".join(f"{x:.9f}" for x in row) + "],")
