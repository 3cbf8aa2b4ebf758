"""Measures Bellwether beside what a user would pick instead, in one run, on 127.0.0.1 only.

    make build && python3 -B benches/peers [STAGE...]

Peers that are not installed are left out: client_golang (needs go), node_exporter, Prometheus.
Nothing is asserted about time. The table goes to the output, in Markdown, with each peer as a
multiple of Bellwether's figure; `benches/README.md` holds one such table.
"""

import os
import platform
import signal
import sys
import time

import criterion
from process import BELLWETHER
from stages import STAGES


def table(rows):
    """Bellwether's figure of each line is the first one; the others are multiples of it."""
    print("\n| what | who | figure | times bellwether's |")
    print("|---|---|---|---|")
    base = {}
    for what, who, figure, unit in rows:
        first = what not in base
        if who.startswith("bellwether"):
            base[what] = figure
        ratio = "" if first or not base.get(what) else f"{figure / base[what]:.1f}"
        print(f"| {what} | {who} | {figure:.2f} {unit} | {'' if who.startswith('bellwether') else ratio} |")


def main(names):
    unknown = [name for name in names if name not in STAGES]
    if unknown:
        sys.exit(f"no such stage: {unknown[0]}; hint: {', '.join(STAGES)}")
    if not os.access(BELLWETHER, os.X_OK):
        sys.exit(f"nothing to measure: {BELLWETHER} is missing; hint: make build")
    print(f"{time.strftime('%Y-%m-%d')}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, "
          f"{platform.system()} {platform.release()}")
    # A SIGTERM ends the processes under measurement too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    rows = []
    for name in names or STAGES:
        for row in STAGES[name]():
            what, who, figure, unit = row
            print(f"{what}, {who}: {figure:.2f} {unit}", flush=True)
            rows.append(row)
    table(rows)
    criterion.table()


main(sys.argv[1:])
