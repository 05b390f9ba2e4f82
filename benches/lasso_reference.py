#!/usr/bin/env python3
"""Makes tests/lasso_reference.json: what scikit-learn finds on small problems.

    pip install numpy scikit-learn
    benches/lasso_reference.py > tests/lasso_reference.json

The random designs are made by SplitMix64, so that tests make the same ones bit by bit. Real sets are
read from $PETUUM_DATA (default ../shared/data).
"""

import json
import os
import sys
import warnings
from pathlib import Path

import numpy as np
import sklearn
from sklearn.datasets import load_svmlight_file
from sklearn.linear_model import ElasticNet, LogisticRegression

warnings.filterwarnings("ignore")
ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("PETUUM_DATA", ROOT / "../shared/data")).resolve() / "lasso"


def uniform(seed, count):
    """Numbers in [-0.5, 0.5) that are exact in f32: the top 24 bits of SplitMix64."""
    with np.errstate(over="ignore"):
        x = np.arange(count, dtype=np.uint64) + np.uint64(seed << 32) + np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        x = x ^ (x >> np.uint64(31))
    return (x >> np.uint64(40)).astype(np.float64) / 2**24 - 0.5


def design(seed, n, p, kind):
    X = uniform(seed, n * p).reshape(n, p)
    if kind == "sparse":
        X[uniform(seed + 1, n * p).reshape(n, p) < 0.3] = 0.0
    if kind == "chain":
        for j in range(1, p):
            X[:, j] = (0.75 * X[:, j - 1] + 0.5 * X[:, j]).astype(np.float32)
    if kind == "degenerate":
        X[:, 1] = X[:, 0]
        X[:, 2] = 2.0
        X[:, 3] = 0.0
        X[:, 5] = -X[:, 4]
    if kind == "offset":
        X = (X + 1000.0).astype(np.float32).astype(np.float64)
    y = X[:, :7].sum(axis=1) - X[:, 7] * 3 + uniform(seed + 2, n)
    return X, y


def solve(X, y, ratio, alpha=1.0, weights=None, standardize=False, intercept=True, logistic=False):
    n = len(y)
    w = np.ones(n) / n if weights is None else weights / weights.sum()
    mean = w @ X if intercept or standardize else np.zeros(X.shape[1])
    scale = np.ones(X.shape[1])
    if standardize:
        scale = np.sqrt(w @ (X - mean) ** 2)
        scale[scale < 1e-12] = 1.0
    Z = X / scale if not intercept else (X - mean) / scale
    if standardize and not intercept:
        Z = X / scale
    target = (y > np.median(y)).astype(float) if logistic else y
    base = w @ target if intercept else (0.5 if logistic else 0.0)
    largest = np.abs(Z.T @ (w * (target - base))).max() / alpha
    lam = ratio * largest
    if logistic:
        model = LogisticRegression(penalty="l1", C=1 / (lam * n), solver="saga", tol=1e-13, max_iter=10**6, fit_intercept=intercept)
        model.fit(Z, target, sample_weight=w * n)
        b, b0 = model.coef_.ravel(), float(np.ravel(model.intercept_)[0])
        z = Z @ b + b0
        loss = w @ (np.logaddexp(0, z) - target * z)
    else:
        model = ElasticNet(alpha=lam, l1_ratio=alpha, fit_intercept=intercept, tol=1e-15, max_iter=10**7)
        model.fit(Z, y, sample_weight=None if weights is None else w * n)
        b, b0 = model.coef_, float(model.intercept_)
        loss = 0.5 * w @ (y - Z @ b - b0) ** 2
    objective = loss + lam * (alpha * np.abs(b).sum() + 0.5 * (1 - alpha) * (b @ b))
    b = b / scale
    if intercept:
        b0 = b0 - mean @ b
    return lam, objective, b0, b


def solve_sparse(X, y, ratio):
    """The lasso with an intercept on sparse columns, which stay sparse."""
    n = len(y)
    lam = ratio * np.abs(X.T @ (y - y.mean())).max() / n
    model = ElasticNet(alpha=lam, l1_ratio=1.0, tol=1e-12, max_iter=10**6)
    model.fit(X, y)
    b = model.coef_
    b0 = float((y - X @ b).mean())
    objective = 0.5 * np.mean((y - X @ b - b0) ** 2) + lam * np.abs(b).sum()
    return float(lam), float(objective), b0, b


def main():
    cases = []

    def case(name, X, y, source, ratio, **options):
        lam, objective, b0, b = solve(X, y, ratio, **options)
        told = {k: v for k, v in options.items() if k not in ("weights", "intercept")}
        cases.append({
            "name": name, **source, "ratio": ratio, **told, "weighted": "weights" in options, "intercept_fitted": options.get("intercept", True),
            "lambda": lam, "objective": objective, "intercept": b0,
            "coefficients": [[int(j), float(b[j])] for j in np.flatnonzero(b)],
        })
        print(name, ratio, objective, np.count_nonzero(b), file=sys.stderr)

    def random(name, seed, n, p, kind, ratio, **options):
        X, y = design(seed, n, p, kind)
        if options.pop("weighted", False):
            options["weights"] = uniform(seed + 3, n) + 0.75
        case(name, X, y, {"seed": seed, "n": n, "p": p, "kind": kind}, ratio, **options)

    for ratio in (0.5, 0.1, 0.01):
        random("more columns", 1, 40, 100, "plain", ratio)
        random("more rows", 5, 200, 12, "plain", ratio)
        random("chain", 9, 60, 80, "chain", ratio)
        random("sparse", 13, 80, 60, "sparse", ratio)
    random("degenerate", 17, 50, 30, "degenerate", 0.05)
    random("offset", 21, 60, 40, "offset", 0.05)
    random("elastic", 25, 50, 70, "plain", 0.05, alpha=0.5)
    random("weighted", 29, 60, 40, "plain", 0.05, weighted=True)
    random("standardized", 33, 60, 40, "sparse", 0.05, standardize=True)
    random("no intercept", 37, 60, 40, "plain", 0.05, intercept=False)
    random("weighted elastic standardized", 41, 60, 90, "sparse", 0.02, alpha=0.7, weighted=True, standardize=True)
    random("logistic", 45, 120, 30, "plain", 0.1, logistic=True)
    random("logistic, no intercept", 49, 120, 30, "sparse", 0.05, logistic=True, intercept=False)
    for name in ("diabetes", "riboflavin"):
        path = DATA / f"{name}.csv.gz"
        if not path.exists():
            print(f"skipped: no {path}", file=sys.stderr)
            continue
        skip = 1 if name == "diabetes" else 0
        try:
            table = np.loadtxt(path, delimiter=",", skiprows=0)
        except ValueError:
            table = np.loadtxt(path, delimiter=",", skiprows=skip)
        X, y = table[:, 1:].astype(np.float32).astype(np.float64), table[:, 0]
        for ratio in (0.1, 0.01):
            case(name, X, y, {"file": f"lasso/{name}.csv.gz"}, ratio)
    path = DATA / "farm-ads.libsvm.gz"
    if path.exists():
        X, y = load_svmlight_file(str(path), dtype=np.float32)
        X = X.astype(np.float64).tocsc()
        for ratio in (0.1, 0.01):
            lam, objective, b0, b = solve_sparse(X, y, ratio)
            cases.append({
                "name": "farm-ads", "file": "lasso/farm-ads.libsvm.gz", "ratio": ratio, "weighted": False, "intercept_fitted": True,
                "lambda": lam, "objective": objective, "intercept": b0,
                # Many columns are the same, so that coefficients are not unique; the objective is.
                "coefficients": [],
            })
            print("farm-ads", ratio, objective, np.count_nonzero(b), file=sys.stderr)
    else:
        print(f"skipped: no {path}", file=sys.stderr)
    json.dump({"scikit-learn": sklearn.__version__, "cases": cases}, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
