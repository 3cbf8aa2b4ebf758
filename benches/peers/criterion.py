"""What `cargo bench` left behind: the median of each criterion bench."""

import json

from process import ROOT


def figures():
    """Pairs of a bench's name and its median in milliseconds, by name."""
    folder = ROOT / "target/criterion"
    found = []
    for file in folder.glob("**/new/benchmark.json"):
        name = json.loads(file.read_text())["full_id"]
        estimates = json.loads((file.parent / "estimates.json").read_text())
        found.append((name, estimates["median"]["point_estimate"] / 1e6))
    return sorted(found)


def table():
    """All of them as a Markdown table."""
    rows = figures()
    if rows:
        print("\n| criterion bench | median |")
        print("|---|---|")
    for name, figure in rows:
        shown = f"{figure:.3g} ms" if figure >= 0.01 else f"{figure * 1e6:.3g} ns"
        print(f"| {name} | {shown} |")
