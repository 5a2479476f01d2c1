"""What a measurement found, one line each at the end of the file that BENCH_RESULTS names; without it nothing is
written, for what is measured is printed by the measurement itself. tests/bench/report makes tables of them.

Fields end at a tab; a field that has nothing to say is empty. The first says what the line is:

figure   section, what, unit, less or more (which is better), ours, its median and quartiles, peer, its median and
         quartiles, how often ours is better: median and quartiles of the rounds' ratios; rounds
skipped  section, who, reason
version  name, version
curve    section, curve, name of x, x, what is counted, unit, total or level, cost, how many share it: a total grows
         with x, its exponent is printed; a level is what it is at x
note     section, curve, what is to be known of it
constant name, value: what tests/bench/cost reckons with
"""
import os
import statistics


def _write(*fields):
    path = os.environ.get("BENCH_RESULTS")
    if not path:
        return
    line = "\t".join(" ".join(str(f).split()) for f in fields)
    with open(path, "a", encoding="utf-8") as out:
        out.write(line + "\n")


def number(value):
    """Four digits that count, never an exponent."""
    if value == 0:
        return "0"
    text = f"{value:.4g}"
    return f"{float(text):.0f}" if "e" in text and abs(value) > 1 else f"{value:.9f}" if "e" in text else text


def _three(values):
    if not values:
        return "", "", ""
    values = sorted(values)
    at = lambda share: values[round(share * (len(values) - 1))]
    return number(statistics.median(values)), number(at(0.25)), number(at(0.75))


def figure(section, what, unit, better, ours, values, peer=None, others=None):
    """`values` and `others` hold one value for each round, in the order of the rounds: each round's ratio is that of
    the two values that were measured beside each other."""
    ratios = []
    if others:
        pairs = [(a, b) for a, b in zip(values, others) if a > 0 and b > 0]
        ratios = [b / a if better == "less" else a / b for a, b in pairs]
    _write("figure", section, what, unit, better, ours, *_three(values), peer or "", *_three(others), *_three(ratios),
           len(values))


def skipped(section, who, reason):
    """Says so on standard output, too."""
    print(f"skipped: {who}: {reason}", flush=True)
    _write("skipped", section, who, reason)


def version(name, text):
    _write("version", name, text)


def curve(section, name, x_name, x, what, unit, cost, share=None):
    """A point of a curve. `share` units share the cost, which is printed for one of them with the exponent by which it
    grew since the point before; without `share` it is a level, printed as it is."""
    _write("curve", section, name, x_name, x, what, unit, "level" if share is None else "total", number(cost), share or 1)


def note(section, name, text):
    _write("note", section, name, text)


def constant(name, value):
    _write("constant", name, value)
