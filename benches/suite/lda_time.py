#!/usr/bin/env python3
"""`petuum lda` and its peers: time to the same joint log-likelihood, with the held-out score and memory.

    benches/suite/lda_time.py curves [--only imdb,kos] [--topics 100,1000] [--peers warplda,tomotopy]
    benches/suite/lda_time.py race   [the same] [--repeat 3]
    benches/suite/lda_time.py check

`curves` runs peers ahead and keeps their curves in --cache. `race` takes the goals from those curves (it
makes those that are missing): (a) the joint log-likelihood of the best peer after 100 of its passes (or
when --cap ended it), (b) 95 % of the way there from that peer's first pass; then it runs peers and petuum
in turn, --repeat times, and the ratios come from these runs alone. `check` compares the likelihood
computed here with the values that petuum and tomotopy print.

Figures: DIR/lda-time.csv (curves), DIR/lda-time-goals.csv, DIR/lda-time.svg, DIR/lda-time-environment.txt.

alpha = 0.1 and beta = 0.01 for all, 2 threads (F+LDA has 1), seed 1, 5 % of the documents held out. Seconds
are sampling alone. The joint log-likelihood and the held-out score are computed by lda_score.py from exported
assignments; petuum's likelihood is the one it prints (see `check`), and its held-out score that of the model
that it saves when it stops: at the goals, and after --petuum-heldout passes. tomotopy sums in 32 bits, so
what it prints differs in the fifth digit. Peak memory: drivers report that of sampling, without loading;
petuum's is of the whole process.

A peer is a program that takes
    CORPUS K ALPHA BETA THREADS SEED LIMIT_SECONDS PASSES PREFIX
(CORPUS as lda_score.Corpus.save writes it, PASSES the comma-separated passes to export), writes the topics
of all tokens as i32, in the order of CORPUS, to PREFIX<pass>, prints a line for each pass, or at least for each
exported one: `pass seconds exported(0|1) peak_mib`, and stops after the last pass or, with an export, when
LIMIT_SECONDS are over. tomotopy is run by lda_tomotopy.py (pip install tomotopy); the others are skipped by
name unless these name such a program, made from their public sources:
    PETUUM_WARPLDA   github.com/thu-ml/warplda, without its likelihood in the passes
    PETUUM_FLDA      F+LDA by Hsiang-Fu Yu, word by word (in github.com/huipingcao/nmsu_cs_chu_sgs, splda.cpp)
    PETUUM_MALLET    github.com/mimno/Mallet, ParallelTopicModel, no optimisation of alpha or beta
    PETUUM_LIGHTLDA  github.com/microsoft/LightLDA, two Metropolis-Hastings steps; its parameter server
                     (MPI, ZeroMQ) may be replaced by counts that change between passes
"""

import argparse
import csv
import io
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

import picture
from lda_score import completion, hold_out, joint, joint_of_assignments, read_docword, read_model
from results import DATA, PETUUM, environment, log, write

ALPHA, BETA, SEED = 0.1, 0.01, 1
CORPORA = {
    "kos": DATA / "kos/docword.kos.txt.gz",
    "win32docs": DATA / "win32docs/docword.win32.txt.gz",
    "imdb": DATA / "imdb/docword.imdb.txt.gz",
}
PEERS = ["tomotopy", "warplda", "flda", "mallet", "lightlda"]
THREADS = {"flda": 1}
# Passes that a peer gets: chains of Metropolis-Hastings steps need more of them.
PASSES = {"warplda": 400, "lightlda": 400}
# Runs a command as its only child, so that its peak memory is not that of this process.
LAUNCHER = """
import resource, subprocess, sys
status = subprocess.call(sys.argv[2:])
open(sys.argv[1], "w").write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024))
sys.exit(status)
"""


def command(peer):
    """The driver of a peer; None, and a word on it, if there is none."""
    if peer == "tomotopy":
        try:
            import tomotopy  # noqa: F401
        except ImportError:
            print("skipped: no tomotopy (pip install tomotopy)", file=sys.stderr)
            return None
        return [sys.executable, str(Path(__file__).with_name("lda_tomotopy.py"))]
    program = os.environ.get(f"PETUUM_{peer.upper()}")
    if not program:
        print(f"skipped: {peer} (PETUUM_{peer.upper()} names no driver)", file=sys.stderr)
        return None
    return [program]


def export_passes(last):
    passes, at = {last}, 1
    while at < last:
        passes.add(at)
        at = max(at + 1, round(at * 1.25))
    return sorted(passes | {100} if last > 100 else passes)


class Set:
    """A corpus with its held-out part, and its files for the tools."""

    def __init__(self, name, folder):
        self.name, self.folder = name, Path(folder)
        self.training, self.held_out = hold_out(read_docword(CORPORA[name]), seed=SEED)
        self.binary, self.docword = self.folder / f"{name}.corpus", self.folder / f"docword.{name}.txt"
        self.training.save(self.binary)
        self.training.save_docword(self.docword)

    def peer(self, peer, topics, passes, limit, scores=True):
        """Runs a peer; its curve as a list of points."""
        threads = THREADS.get(peer, 2)
        with tempfile.TemporaryDirectory(dir=self.folder) as out:
            line = [*command(peer), self.binary, topics, ALPHA, BETA, threads, SEED, limit]
            line = [str(part) for part in [*line, ",".join(map(str, passes)), f"{out}/z"]]
            log(f"{peer}: {' '.join([*line[-9:-1], 'PREFIX'])}")
            done = subprocess.run(line, capture_output=True, text=True)
            if done.returncode != 0:
                sys.exit(f"{' '.join(line)}\nended with {done.returncode}:\n{done.stderr[-2000:]}")
            points = []
            for text in done.stdout.splitlines():
                number, seconds, exported, peak, *printed = text.split()
                if exported == "1":
                    points.append(self.score(f"{out}/z{number}", topics, scores))
                    points[-1].update(passes=int(number), seconds=float(seconds), peak=float(peak))
                    if printed:
                        points[-1]["printed"] = float(printed[0])
        return points

    def score(self, path, topics, scores):
        assignments = np.fromfile(path, "<i4")
        os.unlink(path)
        if len(assignments) != self.training.tokens or assignments.min() < 0 or assignments.max() >= topics:
            sys.exit(f"{path}: {len(assignments)} topics for {self.training.tokens} tokens, or not of 0..{topics}")
        value, words = joint_of_assignments(self.training, assignments, topics, ALPHA, BETA)
        held = completion(words, self.held_out, ALPHA, BETA) if scores else None
        return {"loglik": value, "heldout": held}

    def petuum(self, topics, extra, passes, limit, goal=None):
        """Runs petuum, until `goal` if there is one; its curve, with the held-out score at its end."""
        with tempfile.TemporaryDirectory(dir=self.folder) as out:
            line = [PETUUM, "lda", self.docword, "--topics", topics, "--alpha", ALPHA, "--beta", BETA, "--workers", 2,
                    "--seed", SEED, "--clocks", passes, "--time-limit", limit, "--tolerance", 0, *extra, "--quiet"]
            if goal is not None:
                line += ["--target", goal * self.training.tokens]
            line = [str(part) for part in [*line, "--output", f"{out}/model"]]
            log(" ".join(line[:-2]))
            peak = Path(out) / "peak"
            done = subprocess.run([sys.executable, "-c", LAUNCHER, str(peak), *line], capture_output=True, text=True)
            if done.returncode != 0:
                sys.exit(f"{' '.join(line)}\nended with {done.returncode}:\n{done.stderr}")
            records = list(csv.DictReader(io.StringIO(done.stdout)))
            points = [
                {"passes": int(r["clock"]), "seconds": float(r["seconds"]), "loglik": float(r["loglik_per_token"]),
                 "heldout": None, "peak": float(peak.read_text())}
                for r in records
            ]
            words, _, _ = read_model(f"{out}/model")
            points[-1]["heldout"] = completion(words, self.held_out, ALPHA, BETA)
        return points


def reached(points, goal):
    """(seconds, passes, held-out score) when a curve passes `goal`, between two points by the logarithm of
    time; None if it does not."""
    for before, after in zip([None, *points], points):
        if after["loglik"] < goal:
            continue
        if before is None or after["loglik"] == before["loglik"]:
            return after["seconds"], after["passes"], after["heldout"]
        part = (goal - before["loglik"]) / (after["loglik"] - before["loglik"])
        between = lambda name: math.exp((1 - part) * math.log(before[name]) + part * math.log(after[name]))
        held = after["heldout"]
        if held is not None and before["heldout"] is not None:
            held = (1 - part) * before["heldout"] + part * held
        return between("seconds"), between("passes"), held
    return None


def ahead(data, peer, topics, arguments):
    """The curve of a peer from the cache, or run now."""
    path = arguments.cache / f"{data.name}-{topics}-{peer}.json"
    if path.exists() and not arguments.fresh:
        return json.loads(path.read_text())
    points = data.peer(peer, topics, export_passes(PASSES.get(peer, arguments.passes)), arguments.cap)
    if points[-1]["seconds"] > arguments.cap:
        log(f"capped: {peer} on {data.name}, K = {topics}, after {points[-1]['passes']} passes, {points[-1]['seconds']:.0f} s")
    path.write_text(json.dumps(points))
    return points


def goals(curves):
    """The best peer's likelihood after 100 passes, or its last if it was capped, and 95 % of the way."""
    first, last, peer = max(
        ((points[0], next((p for p in points if p["passes"] >= 100), points[-1]), peer) for peer, points in curves.items()),
        key=lambda one: one[1]["loglik"],
    )
    log(f"best peer: {peer}, {last['loglik']:.5f} after {last['passes']} passes, {last['seconds']:.1f} s")
    end = last["loglik"]
    return {"100 passes": end, "95 %": first["loglik"] + 0.95 * (end - first["loglik"])}


def race(data, topics, curves, arguments):
    """Peers and petuum in turn; rows of the goals."""
    aims, runs = goals(curves), {}
    for _ in range(arguments.repeat):
        for peer, ahead_of in curves.items():
            crossing = reached(ahead_of, aims["100 passes"])
            if crossing is None:
                # It does not get there under the cap: its run ahead is all there is.
                runs.setdefault(peer, []).append(ahead_of)
                continue
            passes = export_passes(math.ceil(crossing[1] * 1.1) + 1)
            runs.setdefault(peer, []).append(data.peer(peer, topics, passes, arguments.cap))
        for way, extra in arguments.petuum.items():
            for goal, value in aims.items():
                points = data.petuum(topics, extra, arguments.petuum_passes, arguments.cap, value)
                runs.setdefault((way, goal), []).append(points)
    rows, label = [], lambda tool: tool[0] if isinstance(tool, tuple) else tool
    for goal, value in aims.items():
        found = {}
        for tool, curve in runs.items():
            if not isinstance(tool, tuple) or tool[1] == goal:
                found[label(tool)] = [(reached(points, value), points[-1]) for points in curve]
        middle = lambda tool, n: statistics.median(one[0][n] for one in found[tool])
        ran = [tool for tool in found if all(one[0] for one in found[tool])]
        best = min((tool for tool in ran if tool in curves), key=lambda tool: middle(tool, 0), default=None)
        for tool in found:
            peak = round(max(one[1]["peak"] for one in found[tool]))
            if tool not in ran:
                rows.append([data.name, topics, goal, round(value, 5), tool, "not reached", "", "", "", "", "", peak])
                continue
            seconds = [one[0][0] for one in found[tool]]
            ratios = [one[0][0] / other[0][0] for one, other in zip(found[tool], found[best])] if best else [math.nan]
            # petuum stops at the goal, and is scored by the model that it saves then.
            held = middle(tool, 2) if tool in curves else statistics.median(one[1]["heldout"] for one in found[tool])
            rows.append([data.name, topics, goal, round(value, 5), tool, round(middle(tool, 0), 3), round(min(seconds), 3), round(max(seconds), 3),
                         round(middle(tool, 1), 1), round(statistics.median(ratios), 3), round(held, 5), peak])
    last = with_heldout(data, topics, arguments) | {label(tool): curve[-1] for tool, curve in runs.items() if not isinstance(tool, tuple) or tool[1] == "100 passes"}
    return rows, last


def with_heldout(data, topics, arguments):
    """Runs of petuum that end, and are scored, after each of --petuum-heldout passes: the held-out score by time."""
    return {
        f"{way}, by ends of runs": [data.petuum(topics, extra, passes, arguments.cap)[-1] for passes in arguments.petuum_heldout]
        for way, extra in arguments.petuum.items()
        if arguments.petuum_heldout
    }


def panel(name, topics, curves):
    lines = [(tool, [p["seconds"] for p in points], [p["loglik"] for p in points]) for tool, points in curves.items() if "ends of runs" not in tool]
    high = max(max(ys) for _, _, ys in lines)
    low = min(ys[min(len(ys) - 1, 3)] for _, _, ys in lines)
    left = picture.Panel(f"{name}, K = {topics}", "seconds of sampling", "ln p(w,z) per token", lines=lines, log_x=True, y_range=(low, high))
    scored = {tool: [p for p in points if p["heldout"] is not None] for tool, points in curves.items()}
    lines = [(tool, [p["seconds"] for p in points], [p["heldout"] for p in points]) for tool, points in scored.items() if len(points) > 1]
    if not lines:
        return [left]
    return [left, picture.Panel(f"{name}, K = {topics}", "seconds of sampling", "held-out ln p per token", lines=lines, log_x=True)]


def measure(arguments):
    curve_rows, goal_rows, panels = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.only:
            if not CORPORA[name].exists():
                print(f"skipped: no {CORPORA[name]}", file=sys.stderr)
                continue
            data = Set(name, folder)
            for topics in arguments.topics:
                curves = {peer: ahead(data, peer, topics, arguments) for peer in arguments.peers if command(peer)}
                if arguments.what == "race":
                    rows, last = race(data, topics, curves, arguments)
                    goal_rows += rows
                    curves = {**curves, **last}
                if not curves:
                    continue
                panels += panel(name, topics, curves)
                for tool, points in curves.items():
                    curve_rows += [[name, topics, tool, p["passes"], p["seconds"], p["loglik"], p["heldout"], p["peak"]] for p in points]
                save(arguments.out, curve_rows, goal_rows, panels)
    environment(arguments.out / "lda-time-environment.txt", *tools(arguments.peers))


def save(out, curve_rows, goal_rows, panels):
    """After every cell, so that what is done is kept."""
    write(out / "lda-time.csv", ["corpus", "topics", "tool", "passes", "seconds", "loglik_per_token", "heldout_per_token", "peak_mib"], curve_rows, show=False)
    if goal_rows:
        header = ["corpus", "topics", "goal", "loglik_per_token", "tool", "seconds", "lowest", "highest", "passes", "of_best_peer", "heldout_per_token", "peak_mib"]
        write(out / "lda-time-goals.csv", header, goal_rows)
    picture.save(out / "lda-time.svg", *panels)


def tools(peers):
    lines = []
    if "tomotopy" in peers:
        import tomotopy

        lines.append(f"tomotopy: {tomotopy.__version__}, {tomotopy.isa}")
    return [*lines, f"numpy: {np.__version__}"]


def check(arguments):
    """The likelihood computed here beside the values that petuum and tomotopy print."""
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.only:
            data, topics = Set(name, folder), 50
            if command("tomotopy"):
                point = data.peer("tomotopy", topics, [10], 600, scores=False)[-1]
                print(f"{name}: tomotopy prints {point['printed']:.9f}, here {point['loglik']:.9f}")
            out = Path(folder) / "model"
            line = [PETUUM, "lda", data.docword, "--topics", topics, "--alpha", ALPHA, "--beta", BETA, "--workers", 2, "--clocks", 10,
                    "--doc-topics", "--quiet", "--force", "--output", out]
            records = subprocess.run([str(part) for part in line], check=True, capture_output=True, text=True).stdout
            printed = float(list(csv.DictReader(io.StringIO(records)))[-1]["loglik_per_token"])
            words, documents, lengths = read_model(out)
            value = joint(words, documents, lengths, ALPHA, BETA) / lengths.sum()
            print(f"{name}: petuum prints   {printed:.9f}, here {value:.9f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = lambda text: text.split(",")
    parser.add_argument("what", choices=["curves", "race", "check"])
    parser.add_argument("--out", type=Path, default=Path("benches/runs/unnamed"))
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "petuum-lda-curves", help="where curves of peers are kept")
    parser.add_argument("--fresh", action="store_true", help="run peers again that are in the cache")
    parser.add_argument("--only", type=names, default=list(CORPORA), metavar="CORPORA")
    parser.add_argument("--topics", type=lambda text: [int(k) for k in text.split(",")], default=[100, 1000, 10000])
    parser.add_argument("--peers", type=names, default=PEERS)
    parser.add_argument("--passes", type=int, default=130, help="passes of exact samplers, a few more than the 100 of the goal")
    parser.add_argument("--petuum-passes", type=int, default=500)
    parser.add_argument("--petuum-heldout", type=lambda text: [int(n) for n in text.split(",")], default=[], metavar="PASSES",
                        help="also run petuum for so many passes each (25,50,100) and score the model of each")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--cap", type=float, default=300, help="seconds after which a run ends")
    parser.add_argument("--petuum", action="append", metavar="LABEL=FLAGS", help="a way to run petuum, such as 'petuum, warp=--sampler warp'; may be repeated")
    arguments = parser.parse_args()
    ways = [way.partition("=") for way in arguments.petuum or ["petuum="]]
    arguments.petuum = {label: flags.split() for label, _, flags in ways}
    arguments.out.mkdir(parents=True, exist_ok=True)
    arguments.cache.mkdir(parents=True, exist_ok=True)
    check(arguments) if arguments.what == "check" else measure(arguments)


if __name__ == "__main__":
    main()
