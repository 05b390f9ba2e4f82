"""What the scripts of this folder have in common: where petuum and the data are, figures as CSV, and what
ran, of which version and on what, beside them."""

import csv
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PETUUM = Path(os.environ.get("PETUUM", ROOT / "target/release/petuum"))
DATA = Path(os.environ.get("PETUUM_DATA", ROOT / "../shared/data")).resolve()
LOG = []


def log(line):
    LOG.append(line)
    print(line, file=sys.stderr, flush=True)


def write(path, header, rows, show=True):
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)
    if show:
        print(path.read_text())


def environment(path, *more):
    """Appends versions, hardware, the lines `more` and every logged command to the file `path`."""

    def ask(command):
        return subprocess.run(command, shell=True, capture_output=True, text=True).stdout.strip()

    lines = [
        f"date: {time.strftime('%Y-%m-%d')}",
        f"petuum: {ask(f'{PETUUM} --version')}, commit {ask(f'git -C {ROOT} rev-parse --short HEAD')}",
        f"rustc: {ask('rustc --version')}",
        f"python: {platform.python_version()}",
        f"processor: {ask('lscpu | grep -m1 -i model.name | cut -d: -f2').strip()}, {os.cpu_count()} cores",
        f"memory: {ask('grep MemTotal /proc/meminfo')}",
        f"kernel: {platform.release()}",
        *more,
        "commands:",
        *("  " + line for line in LOG),
    ]
    with open(path, "a") as file:
        file.write("\n".join(lines) + "\n\n")
