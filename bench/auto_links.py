#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# auto_links.py - does `--compress auto` keep up with the best of raw, lz4 and zstd, on any memory and any link?
#
#      link 1gbit: random: none lz4 zstd auto | text: none lz4 zstd auto | ...      in turns, several times
#
# Two network namespaces and a veth pair are the link; tc's tbf makes it slow.  "unlimited" is the pair by itself.
import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys

import links
from sides import keys_of, machine, migrate

WAYS = ("none", "lz4", "zstd", "auto")

ABOUT = """How fast is a guest moved with `--compress auto`, beside each of none, lz4
and zstd, over links of different rates and with memory of different content?

`rate`: guest bytes per second without set-up; `ratio`: that of auto by that of
the best of the others. Needs root. Prints one JSON object."""


def one_turn(args, link, content, backwards):
    rates = {}
    for way in reversed(WAYS) if backwards else WAYS:
        settings = {**keys_of(args.settings), "net": link, "content": content, "compress": way}
        rates[way] = migrate(args, settings, args.files)["rate"]
    print(f"{link}, {content}: " + ", ".join(f"{way} {rates[way] / 1e6:.0f} MB/s" for way in WAYS), file=sys.stderr)
    return rates


def figures(link, content, turns):
    rates = {way: statistics.median(turn[way] for turn in turns) for way in WAYS}
    best = max(WAYS[:-1], key=lambda way: rates[way])
    return {"link": link, "content": content, "rates": rates, "best": best,
            "ratio": rates["auto"] / rates[best],
            "ratio_of_pairs": statistics.median(turn["auto"] / turn[best] for turn in turns), "turns": turns}


def run_all(args):
    turns = {(link, content): [] for link in args.links for content in args.contents}
    with links.up():
        for turn in range(args.runs):
            for (link, content), done in turns.items():
                links.set_rate(None if link == "unlimited" else link)
                done.append(one_turn(args, link, content, turn % 2 == 1))
    return [figures(link, content, done) for (link, content), done in turns.items()]


def arguments():
    parser = argparse.ArgumentParser(description=ABOUT, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ferry", default="ferry", metavar="PATH", help="the program")
    parser.add_argument("--links", default="1gbit,10gbit,unlimited", metavar="RATES", help="[%(default)s]")
    parser.add_argument("--contents", default="random,text,mixed", help="[%(default)s]")
    parser.add_argument("--guest", default="pattern:size=512MiB", metavar="SPEC", help="[%(default)s]")
    parser.add_argument("--settings", default="channels=2", metavar="KEY=VALUE,...", help="of both sides [%(default)s]")
    parser.add_argument("--runs", type=int, default=3, metavar="N", help="of which medians are taken [%(default)s]")
    parser.add_argument("--cold", action="store_true", help="do not keep memory warm")
    args = parser.parse_args()
    args.ferry = shutil.which(args.ferry) or parser.error(f"there is no {args.ferry}")
    args.links, args.contents = args.links.split(","), args.contents.split(",")
    args.files = None
    if args.runs < 1:
        parser.error("--runs: at least 1")
    if os.geteuid() != 0:
        parser.error("namespaces need root")
    return args


def main():
    args = arguments()
    before = machine()
    try:
        rows = run_all(args)
    except (RuntimeError, subprocess.SubprocessError) as error:
        print(f"auto_links.py: {error}", file=sys.stderr)
        sys.exit(1)
    print(json.dumps({"bench": "auto_links", "machine": before,
                      "settings": {"guest": args.guest, "both": args.settings, "runs": args.runs}, "results": rows},
                     indent=2))


if __name__ == "__main__":
    main()
