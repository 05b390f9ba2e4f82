#!/usr/bin/env python3
"""`petuum lasso` beside its peers.

    benches/suite/lasso.py time   [--out DIR] [--only NAME,...]  seconds to a relative gap of 1e-4 and 1e-6
    benches/suite/lasso.py rounds [--out DIR]                    T5: rounds to gap 1e-3 by four schedules

Needs a release build of petuum (cargo build --release). Peers that are not installed are skipped by
name (pip install scikit-learn skglm celer adelie; R with glmnet is asked through Rscript). Real sets
come from $PETUUM_DATA (default ../shared/data). Everybody has the data in memory when the clock
starts: petuum's seconds are those of its records, which include the pass that measures the columns.
A gap is relative to the objective of the intercept alone, and computed here, for all alike, from
the coefficients; of petuum it is checked against the one that it prints.
"""

import argparse
import csv
import io
import os
import subprocess
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import scipy.sparse as sparse

import results
from results import PETUUM, ROOT, log

warnings.filterwarnings("ignore")
DATA = results.DATA / "lasso"
GAPS = (1e-4, 1e-6)


def chain(rho, samples=1000, features=100_000, planted=100):
    rng = np.random.default_rng(1)
    columns = np.empty((features, samples), dtype=np.float32)
    columns[0] = rng.standard_normal(samples)
    for j in range(1, features):
        columns[j] = rho * columns[j - 1] + np.sqrt(1 - rho * rho) * rng.standard_normal(samples).astype(np.float32)
    chosen = rng.choice(features, planted, replace=False)
    z = columns[chosen].T.astype(np.float64) @ rng.standard_normal(planted)
    return columns.T, z + rng.standard_normal(samples) * z.std() / np.sqrt(5)


def words(samples=20_000, features=200_000, values=10_000_000):
    rng = np.random.default_rng(2)
    often = 1 / (np.arange(features) + 50.0)
    counts = np.minimum(rng.poisson(values * often / often.sum()), samples // 2)
    rows = np.concatenate([rng.choice(samples, count, replace=False) for count in counts])
    columns = np.repeat(np.arange(features), counts)
    tfidf = (1 + np.log(rng.geometric(0.6, rows.size))) * np.log(samples / np.maximum(counts, 1))[columns]
    X = sparse.csc_matrix((tfidf, (rows, columns)), shape=(samples, features))
    X = (sparse.diags(1 / np.maximum(np.sqrt(np.asarray(X.multiply(X).sum(1)).ravel()), 1e-9)) @ X).astype(np.float32).tocsc()
    b = np.zeros(features)
    chosen = rng.choice(features // 10, 300, replace=False)
    b[chosen] = rng.standard_normal(300)
    z = X @ b
    return X, z + rng.standard_normal(samples) * z.std() / np.sqrt(3)


def riboflavin():
    table = np.loadtxt(DATA / "riboflavin.csv.gz", delimiter=",")
    return np.asfortranarray(table[:, 1:].astype(np.float32)), table[:, 0]


def imdb():
    from sklearn.datasets import load_svmlight_file

    X, y = load_svmlight_file(str(DATA / "imdb-rating.uni+bigram.train.libsvm.gz"))
    return X.tocsc().astype(np.float32), y


PROBLEMS = {
    "chain-0.5": lambda: chain(0.5),
    "chain-0.9": lambda: chain(0.9),
    "words": words,
    "riboflavin": riboflavin,
    "imdb": imdb,
}


def write(X, y, folder):
    """The files that petuum reads."""
    targets = folder / "y.npy"
    np.save(targets, y)
    if sparse.issparse(X):
        from sklearn.datasets import dump_svmlight_file

        examples = folder / "x.svm"
        dump_svmlight_file(X.tocsr(), y, str(examples), zero_based=False)
        return [str(examples)]
    np.save(folder / "x.npy", np.asfortranarray(X))
    return [str(folder / "x.npy"), "--targets", str(targets)]


def gap(X, y, lam, b, b0):
    r = y - X @ b - b0
    r = r - r.mean()
    y = y - y.mean()
    n = len(y)
    part = min(1, lam / max(np.abs(X.T @ r).max() / n, lam))
    primal = 0.5 * r @ r / n + lam * np.abs(b).sum()
    return (primal - part * (r @ y) / n + 0.5 * part**2 * (r @ r) / n) / (0.5 * y @ y / n)


def petuum(data, ratio, tolerance):
    command = [str(PETUUM), "lasso", *data, "--lambda-ratio", str(ratio), "--tolerance", str(tolerance), "--quiet"]
    log(" ".join(command))
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return list(csv.DictReader(io.StringIO(text)))


def time_petuum(data, ratio, repeats):
    """Seconds to each gap, the fastest of some runs each."""
    best = {}
    for _ in range(repeats):
        for wanted in GAPS:
            records = petuum(data, ratio, wanted)
            last = records[-1]
            assert float(last["gap"]) <= wanted * float(records[0]["objective"])
            best[wanted] = min(best.get(wanted, np.inf), float(last["seconds"]))
    return best


def peers():
    found = {}
    try:
        from skglm import Lasso as Skglm

        def skglm(X, y, lam, level):
            model = Skglm(alpha=lam, tol=lam * 10.0**-level, max_iter=200, max_epochs=100_000).fit(X, y)
            return model.coef_, model.intercept_

        found["skglm"] = skglm
    except ImportError:
        log("skipped: no skglm")
    try:
        from celer import Lasso as Celer

        def celer(X, y, lam, level):
            model = Celer(alpha=lam, tol=10.0 ** -(level + 2), max_iter=200).fit(X, y)
            return model.coef_, model.intercept_

        found["celer"] = celer
    except ImportError:
        log("skipped: no celer")
    try:
        from sklearn.linear_model import Lasso as Sklearn

        def sklearn(X, y, lam, level):
            model = Sklearn(alpha=lam, tol=10.0 ** -(level + 2), max_iter=20_000).fit(X, y)
            return model.coef_, model.intercept_

        found["scikit-learn"] = sklearn
    except ImportError:
        log("skipped: no scikit-learn")
    try:
        import adelie

        def adelie_(X, y, lam, level):
            if sparse.issparse(X):
                raise NotImplementedError
            path = np.geomspace(np.abs(X.T @ (y - y.mean())).max() / len(y), lam, 10)
            state = adelie.grpnet(
                X=X, glm=adelie.glm.gaussian(y), lmda_path=path, tol=10.0 ** -(2 * level + 4), n_threads=2,
                progress_bar=False, early_exit=False, adev_tol=1.0, ddev_tol=0.0,
            )
            return np.asarray(state.betas[-1].todense()).ravel(), float(state.intercepts[-1])

        found["adelie"] = adelie_
    except ImportError:
        log("skipped: no adelie")
    if subprocess.run("Rscript -e 'library(glmnet)'", shell=True, capture_output=True).returncode != 0:
        log("skipped: no Rscript with glmnet")
    return found


def warm_up(solve, X, y, lam):
    """Compilers of the peers run first."""
    few = X[:50, :20]
    try:
        solve(few.tocsc() if sparse.issparse(few) else np.asfortranarray(few), y[:50], lam, 1)
    except Exception as error:
        log(f"  warming up: {error!r}")


def time_peer(solve, X, y, lam, seconds_max):
    """Seconds to each gap: of the loosest setting that reaches it."""
    best = {}
    for level in range(1, 9):
        begun = time.perf_counter()
        try:
            b, b0 = solve(X, y, lam, level)
        except Exception as error:  # a peer may refuse a form of data
            log(f"  refused: {error!r}")
            return best
        seconds = time.perf_counter() - begun
        reached = gap(X, y, lam, b, b0)
        log(f"    level {level}: {seconds:.3f} s, gap {reached:.2e}, {np.count_nonzero(b)} features")
        for wanted in GAPS:
            if reached <= wanted:
                best[wanted] = min(best.get(wanted, np.inf), seconds)
        if len(best) == len(GAPS) or seconds > seconds_max:
            return best
    return best


def times(out, only):
    rows = []
    solvers = peers()
    for name, make in PROBLEMS.items():
        if only and name not in only:
            continue
        try:
            X, y = make()
        except OSError as error:
            log(f"skipped: {error}")
            continue
        wide = X.astype(np.float64) if sparse.issparse(X) else np.asfortranarray(X, dtype=np.float64)
        largest = np.abs(wide.T @ (y - y.mean())).max() / len(y)
        with tempfile.TemporaryDirectory() as folder:
            data = write(X, y, Path(folder))
            for ratio in (0.1, 0.01):
                found = {"petuum": time_petuum(data, ratio, 3)}
                for peer, solve in solvers.items():
                    log(f"  {name} {ratio} {peer}")
                    if peer == "scikit-learn" and X.shape[0] * X.shape[1] > 10**7 and not sparse.issparse(X):
                        log("  skipped: takes minutes for each setting, several times celer's")
                        continue
                    warm_up(solve, wide, y, largest)
                    found[peer] = time_peer(solve, wide, y, ratio * largest, 30)
                for who, best in found.items():
                    cells = [round(best[g], 4) if g in best else "" for g in GAPS]
                    rows.append([name, ratio, who, *cells])
                    log(f"{rows[-1]}")
    results.write(out / "lasso-time.csv", ["problem", "lambda_ratio", "who", "seconds_to_1e-4", "seconds_to_1e-6"], rows)


COLOURS = {"priority+filter": "#1b7837", "priority alone": "#d73027", "shotgun": "#4575b4", "cyclic": "#fdae61"}


def picture(rows, path):
    """Relative gap by round, both logarithmic: one panel for each design."""
    width, height, left, top = 300, 240, 60, 40
    designs = list(dict.fromkeys(row["design"] for row in rows))
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + len(designs) * (width + 40)}" height="{top + height + 80}" font-family="sans-serif" font-size="12">']
    last = max(np.log10(float(row["round"])) for row in rows)
    for number, design in enumerate(designs):
        x0 = left + number * (width + 40)
        x = lambda r: x0 + width * np.log10(float(r)) / last
        y = lambda g: top + height * (1 - (min(max(np.log10(g), -3.2), 2) + 3.2) / 5.2)
        parts.append(f'<rect x="{x0}" y="{top}" width="{width}" height="{height}" fill="none" stroke="#999"/><text x="{x0}" y="{top - 8}">{design}</text>')
        for power in range(-3, 3):
            parts.append(f'<text x="{x0 - 8}" y="{y(10.0**power) + 4}" text-anchor="end">1e{power}</text>')
        for power in range(int(last) + 1):
            parts.append(f'<text x="{x(10**power)}" y="{top + height + 16}" text-anchor="middle">1e{power}</text>')
        for schedule, colour in COLOURS.items():
            of = [row for row in rows if row["design"] == design and row["schedule"] == schedule]
            points = " ".join(f'{x(row["round"]):.1f},{y(max(float(row["gap"]), 1e-9)):.1f}' for row in of if np.isfinite(float(row["gap"])))
            parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
    for number, (schedule, colour) in enumerate(COLOURS.items()):
        parts.append(f'<text x="{left + number * 150}" y="{top + height + 50}" fill="{colour}">{schedule}</text>')
    parts.append(f'<text x="{left}" y="{top + height + 70}">relative duality gap by rounds of 32 coordinates</text></svg>')
    path.write_text("\n".join(parts))


def rounds(out):
    """Runs the bench `rounds` and sums up."""
    command = "cargo bench --bench rounds -- 1000 4000"
    log(command)
    text = subprocess.run(command, shell=True, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    rows = list(csv.DictReader(io.StringIO(text)))
    (out / "lasso-rounds.csv").write_text(text)
    picture(rows, out / "lasso-rounds.svg")
    summary = []
    for design in dict.fromkeys(row["design"] for row in rows):
        for schedule in COLOURS:
            of = [row for row in rows if row["design"] == design and row["schedule"] == schedule]
            end = of[-1]
            reached = float(end["gap"]) <= 1e-3
            told = "diverged" if not float(end["gap"]) < 10 else f'> {end["round"]}'
            summary.append([design, schedule, end["round"] if reached else told, end["seconds"] if reached else "", end["correlations"]])
    results.write(out / "lasso-rounds-summary.csv", ["design", "schedule", "rounds_to_1e-3", "seconds", "correlations"], summary)



def has(module):
    try:
        __import__(module)
        return True
    except ImportError:
        return False


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["time", "rounds"])
    parser.add_argument("--out", type=Path, default=Path("benches/runs/unnamed"))
    parser.add_argument("--only", type=lambda text: text.split(","), default=[])
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    if arguments.what == "time":
        times(arguments.out, arguments.only)
    else:
        rounds(arguments.out)
    versions = [f"{module}: {__import__(module).__version__}" for module in ("numpy", "sklearn", "skglm", "celer", "adelie") if has(module)]
    results.environment(arguments.out / "lasso-environment.txt", f"peers: {', '.join(versions)}", f"load: {os.getloadavg()}")


if __name__ == "__main__":
    main()
