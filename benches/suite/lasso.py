#!/usr/bin/env python3
"""`petuum lasso` beside its peers.

    benches/suite/lasso.py time [--only PROBLEM,...] [--who PEER,...] [--ratios 0.1,0.01,path]
                           seconds to a relative gap of 1e-4 and 1e-6, for one λ or a path of 100
    benches/suite/lasso.py rounds        T5: rounds to gap 1e-3 by four schedules
    benches/suite/lasso.py environment   versions and hardware, beside the figures

Needs a release build of petuum (cargo build --release). Peers that are not installed are skipped by
name (pip install scikit-learn skglm celer adelie; R's glmnet runs in Rscript, timed by R). Figures are
put among those that DIR has already, so that each can be measured alone; a peer's settings go from loose
to tight until one takes longer than --cap seconds. Data that are made are kept in --cache. Real sets come from $PETUUM_DATA (default ../shared/data). Everybody has the data in memory when the clock
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
RATIOS = ["0.1", "0.01", "path"]
HEADER = ["problem", "lambda_ratio", "who", "seconds_to_1e-4", "seconds_to_1e-6"]


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


def worst_gap(X, y, lams, solutions):
    """The largest gap of a path; of a single value of it, its gap."""
    return max(gap(X, y, lam, b, b0) for lam, (b, b0) in zip(lams, solutions))


class Problem:
    """A problem with its data in memory and in files; one λ, or a path of 100 down to the same."""

    def __init__(self, name, ratio, cache):
        folder = cache / name
        if not (folder / "done").exists():
            folder.mkdir(parents=True, exist_ok=True)
            X, y = PROBLEMS[name]()
            (folder / "files").write_text("\n".join(write(X, y, folder)))
            sparse.save_npz(folder / "x.npz", X) if sparse.issparse(X) else None
            np.save(folder / "y.npy", y)
            (folder / "done").touch()
        self.files = (folder / "files").read_text().split("\n")
        self.y = np.load(folder / "y.npy").astype(np.float64)
        if (folder / "x.npz").exists():
            self.X = sparse.load_npz(folder / "x.npz").tocsc().astype(np.float64)
        else:
            self.X = np.asfortranarray(np.load(folder / "x.npy"), dtype=np.float64)
        largest = np.abs(self.X.T @ (self.y - self.y.mean())).max() / len(self.y)
        self.is_path = ratio == "path"
        self.flags = ["--path", "100", "--lambda-ratio", "0.01"] if self.is_path else ["--lambda-ratio", str(ratio)]
        self.lams = largest * np.geomspace(1, 0.01, 100) if self.is_path else np.array([float(ratio) * largest])

    def warm(self, steps):
        """Values of λ from the largest down to the one that is asked for, for those who need a path to it."""
        return self.lams if self.is_path else np.geomspace(self.lams[0] / self.ratio(), self.lams[0], steps)

    def ratio(self):
        return float(self.flags[-1])


def petuum(problem, repeats):
    """Seconds to each gap, the fastest of some runs each: those of the records, so that reading is not in them."""
    best = {}
    for _ in range(repeats):
        for wanted in GAPS:
            command = [str(PETUUM), "lasso", *problem.files, *problem.flags, "--tolerance", str(wanted), "--quiet"]
            log(" ".join(command))
            text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            records = list(csv.DictReader(io.StringIO(text)))
            null, last = float(records[0]["objective"]), {}
            for record in records:
                last[record["lambda"]] = float(record["gap"])
            assert len(last) == len(problem.lams) and max(last.values()) <= wanted * null * (1 + 1e-9)
            best[wanted] = min(best.get(wanted, np.inf), float(records[-1]["seconds"]))
    return best


def follow(model, problem, settings=lambda lam: {}):
    """Fits a model in the style of scikit-learn at each λ in turn: coefficients and intercept of each."""
    found = []
    for lam in problem.lams:
        model.set_params(alpha=lam, **settings(lam))
        model.fit(problem.X, problem.y)
        found.append((model.coef_.copy(), float(model.intercept_)))
    return found


def skglm(problem):
    from skglm import Lasso

    def solve(level):
        model = Lasso(alpha=1.0, max_iter=200, max_epochs=100_000, warm_start=True)
        return follow(model, problem, lambda lam: {"tol": lam * 10.0**-level})

    return solve


def celer(problem):
    from celer import Lasso

    def solve(level):
        model = Lasso(alpha=1.0, tol=10.0 ** -(level + 2), max_iter=200, warm_start=True)
        return follow(model, problem)

    return solve


def scikit_learn(problem):
    from sklearn.linear_model import Lasso

    def solve(level):
        if not sparse.issparse(problem.X) and problem.X.size > 10**7:
            raise NotImplementedError("takes minutes for each setting, several times celer's")
        model = Lasso(alpha=1.0, tol=10.0 ** -(level + 2), max_iter=20_000, warm_start=True)
        return follow(model, problem)

    return solve


def adelie(problem):
    import adelie

    def solve(level):
        if sparse.issparse(problem.X):
            raise NotImplementedError("has no intercept for sparse designs")
        state = adelie.grpnet(
            X=problem.X, glm=adelie.glm.gaussian(problem.y), lmda_path=problem.warm(10), tol=10.0 ** -(2 * level + 4),
            n_threads=2, progress_bar=False, early_exit=False, adev_tol=1.0, ddev_tol=0.0,
        )
        count = len(problem.lams)
        betas = [np.asarray(beta.todense()).ravel() for beta in state.betas[-count:]]
        return list(zip(betas, map(float, state.intercepts[-count:])))

    return solve


GLMNET = """
suppressMessages({library(glmnet); library(Matrix)})
folder <- commandArgs(TRUE)[1]; cap <- as.numeric(commandArgs(TRUE)[2]); count <- as.integer(commandArgs(TRUE)[3])
read <- function(name, what, size) { path <- file.path(folder, name); readBin(path, what, file.size(path) / size, size) }
y <- read("y.bin", "double", 8); lams <- read("lams.bin", "double", 8); shape <- read("shape.bin", "integer", 4)
if (file.exists(file.path(folder, "i.bin"))) {
    x <- sparseMatrix(i = read("i.bin", "integer", 4), p = read("p.bin", "integer", 4), x = read("x.bin", "double", 8),
                      dims = shape, index1 = FALSE)
} else {
    x <- matrix(read("x.bin", "double", 8), shape[1], shape[2])
}
for (level in 1:8) {
    seconds <- system.time(model <- glmnet(x, y, lambda = lams, standardize = FALSE, thresh = 10^-(2 * level + 4), maxit = 1e8))[["elapsed"]]
    last <- tail(seq_along(model$lambda), count)
    beta <- model$beta[, last, drop = FALSE]
    name <- function(part) file.path(folder, paste0(part, level))
    writeBin(beta@i, name("bi")); writeBin(beta@p, name("bp")); writeBin(beta@x, name("bx")); writeBin(model$a0[last], name("a0"))
    writeLines(format(seconds, digits = 6), name("seconds"))
    if (seconds > cap) break
}
"""


def glmnet(problem, cap):
    """Runs all settings in one R process, whose data are in its memory; its own clock tells the seconds."""
    if subprocess.run(["Rscript", "-e", "library(glmnet)"], capture_output=True).returncode != 0:
        raise ImportError("no Rscript with glmnet")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        X, count = problem.X, len(problem.lams)
        if sparse.issparse(X):
            X.indices.astype(np.int32).tofile(folder / "i.bin")
            X.indptr.astype(np.int32).tofile(folder / "p.bin")
            X.data.tofile(folder / "x.bin")
        else:
            X.ravel(order="F").tofile(folder / "x.bin")
        problem.y.tofile(folder / "y.bin")
        problem.warm(20).tofile(folder / "lams.bin")
        np.array(X.shape, dtype=np.int32).tofile(folder / "shape.bin")
        script = folder / "glmnet.R"
        script.write_text(GLMNET)
        told = subprocess.run(["Rscript", script, folder, str(cap), str(count)], capture_output=True, text=True)
        if told.returncode != 0:
            log(f"  refused: {told.stderr.strip()[-200:]}")
        for level in range(1, 9):
            if not (folder / f"seconds{level}").exists():
                return
            read = lambda part, dtype: np.fromfile(folder / f"{part}{level}", dtype=dtype)
            betas = sparse.csc_matrix((read("bx", float), read("bi", np.int32), read("bp", np.int32)), shape=(X.shape[1], count))
            found = [(betas[:, at].toarray().ravel(), b0) for at, b0 in enumerate(read("a0", float))]
            yield level, float((folder / f"seconds{level}").read_text()), found


def in_process(solver, cap):
    """A peer's settings, from loose to tight, each timed; a first run on a corner of the data compiles what is compiled."""

    def runs(problem):
        few = argparse.Namespace(**vars(problem))
        corner = problem.X[:50, :20]
        few.X = corner.tocsc() if sparse.issparse(corner) else np.asfortranarray(corner)
        few.y, few.warm = problem.y[:50], problem.warm
        try:
            solver(few)(1)
        except Exception as error:
            log(f"  warming up: {error!r}")
        solve = solver(problem)
        for level in range(1, 9):
            begun = time.perf_counter()
            try:
                found = solve(level)
            except Exception as error:  # a peer may refuse a form of data
                log(f"  refused: {error!r}")
                return
            seconds = time.perf_counter() - begun
            yield level, seconds, found
            if seconds > cap:
                return

    return runs


def time_peer(problem, runs):
    """Seconds to each gap: of the loosest setting that reaches it."""
    best = {}
    for level, seconds, found in runs(problem):
        reached = worst_gap(problem.X, problem.y, problem.lams, found)
        log(f"    level {level}: {seconds:.3f} s, gap {reached:.2e}, {np.count_nonzero(found[-1][0])} features")
        for wanted in GAPS:
            if reached <= wanted:
                best[wanted] = min(best.get(wanted, np.inf), seconds)
        if len(best) == len(GAPS):
            break
    return best


def times(out, only, who, ratios, cache, cap):
    """Measures, and puts the figures among those that are there already."""
    path = out / "lasso-time.csv"
    rows = {}
    if path.exists():
        rows = {tuple(row[:3]): row[3:] for row in list(csv.reader(path.open()))[1:]}
    peers = {"skglm": skglm, "celer": celer, "scikit-learn": scikit_learn, "adelie": adelie}
    for name in PROBLEMS:
        for ratio in ratios:
            if only and name not in only:
                continue
            try:
                problem = Problem(name, ratio, cache)
            except OSError as error:
                log(f"skipped: {error}")
                continue
            for one in ["petuum", *peers, "glmnet"]:
                if who and one not in who:
                    continue
                log(f"  {name} {ratio} {one}")
                try:
                    match one:
                        case "petuum":
                            best = petuum(problem, 3)
                        case "glmnet":
                            best = time_peer(problem, lambda problem: glmnet(problem, cap))
                        case _:
                            best = time_peer(problem, in_process(peers[one], cap))
                except ImportError as error:
                    log(f"skipped: {error}")
                    continue
                rows[name, str(ratio), one] = [round(best[g], 4) if g in best else "" for g in GAPS]
                log(f"{name} {ratio} {one} {rows[name, str(ratio), one]}")
                # After each: who stops the script keeps what it has measured.
                keys = sorted(rows, key=lambda key: (list(PROBLEMS).index(key[0]), RATIOS.index(key[1])))
                results.write(path, HEADER, [[*key, *rows[key]] for key in keys], show=False)


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
    parser.add_argument("what", choices=["time", "rounds", "environment"])
    parser.add_argument("--out", type=Path, default=Path("benches/runs/unnamed"))
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "petuum-lasso")
    parser.add_argument("--cap", type=float, default=30)
    for several in ("only", "who", "ratios"):
        parser.add_argument(f"--{several}", type=lambda text: text.split(","), default=[])
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    match arguments.what:
        case "time":
            ratios = arguments.ratios or RATIOS
            times(arguments.out, arguments.only, arguments.who, ratios, arguments.cache, arguments.cap)
        case "rounds":
            rounds(arguments.out)
        case _:
            modules = [module for module in ("numpy", "sklearn", "skglm", "celer", "adelie") if has(module)]
            versions = [f"{module} {__import__(module).__version__}" for module in modules]
            ask = ["Rscript", "-e", "cat(R.version.string, 'glmnet', as.character(packageVersion('glmnet')))"]
            try:
                versions.append(subprocess.run(ask, capture_output=True, text=True).stdout)
            except OSError:
                log("skipped: no Rscript")
            results.environment(arguments.out / "lasso-environment.txt", f"peers: {', '.join(versions)}")
            return
    with open(arguments.out / "lasso-environment.txt", "a") as file:
        file.write("\n".join(results.LOG) + "\n\n")


if __name__ == "__main__":
    main()
