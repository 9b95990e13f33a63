#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# qmp_page.py - docs/qmp.md's second half: what QEMU 10 answered and what Ferry answers, side by side, from qmp/*.jsonl
#
#     qmp_page.py            write it anew
#     qmp_page.py --check    is it what the recordings make?
#
# Ferry's answers are recorded by FERRY_QMP_RECORD=tests/interop/qmp/ferry.jsonl tests/interop/qmp_shape_test.py.
import json
import os
import sys

from qmp_shapes import GONE, GONE_CAPABILITIES, OTHERWISE, load

PAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs", "qmp.md")
MARK = "<!-- From here on tests/interop/qmp_page.py wrote it. -->\n"


def cell(text):
    return "`" + text.replace("|", "\\|").replace("`", "'") + "`"


def shown(answer, name):
    """An answer in one line; long ones are cut, since only their shape is of interest."""
    answer = {key: value for key, value in answer.items() if key not in ("timestamp", "id")}
    told = answer.get("return", answer)
    if isinstance(told, dict):
        told = {key: "{...}" if key == "ferry" else value for key, value in told.items()}
    if "error" in answer:
        return cell(f"{answer['error']['class']}: {answer['error']['desc']}")
    text = json.dumps(told, sort_keys=True)
    return cell(text if len(text) <= 140 else text[:137] + "...")


def exchanges(theirs, ours):
    yield "| side | asked, or told | QEMU 10 | Ferry |"
    yield "|---|---|---|---|"
    for line in theirs:
        mine = ours.get((line["side"], line["name"]))
        answer = shown(mine["answer"], line["name"]) if mine else OTHERWISE.get(line["name"], "")
        yield f"| {line['side']} | {line['name']} | {shown(line['answer'], line['name'])} | {answer} |"


def members(title, theirs, ours):
    yield f"### {title}\n"
    yield "| member | QEMU 10 | Ferry |"
    yield "|---|---|---|"
    for name in sorted(set(theirs) | set(ours)):
        if name != "ferry":
            yield f"| `{name}` | {told(theirs, name)} | {told(ours, name)} |"
    yield ""


def told(answer, name):
    if name not in answer:
        return ""
    value = answer[name]
    return cell("{...}" if isinstance(value, dict) else json.dumps(value))


def generated():
    theirs, ours = load("qemu-10"), {}
    for line in load("ferry"):
        ours.setdefault((line["side"], line["name"]), line)
    first = {}
    for line in theirs:
        first.setdefault((line["side"], line["name"]), line)

    def both(side, name):
        return first[side, name]["answer"]["return"], ours[side, name]["answer"]["return"]

    yield "## Side by side\n"
    yield ("What was said to QEMU 10.0.2, and what it and Ferry answered. The same questions went to QEMU 7.2, whose "
           "answers\nhave the same shape but for members that are gone since: "
           + ", ".join(f"`{name}`" for name in sorted(GONE)) + ",\nand the capabilities "
           + " and ".join(f"`{name}`" for name in sorted(GONE_CAPABILITIES)) + ".\n")
    for status in ("active, to a destination", "completed"):
        here, there = both("source", f"query-migrate, {status}")
        yield from members(f"query-migrate at the source, {status}", here, there)
        yield from members(f"its `ram`, {status}", here["ram"], there["ram"])
    yield from members("query-migrate-parameters", *both("source", "query-migrate-parameters"))
    yield from members("query-migrate-capabilities", *({item["capability"]: item["state"] for item in answer}
                                                       for answer in both("source", "query-migrate-capabilities")))
    yield "### Every exchange\n"
    yield from exchanges(theirs, ours)
    yield "\n### What Ferry answers otherwise\n"
    for name, why in OTHERWISE.items():
        yield f"* {name}: {why}"


def main():
    with open(PAGE, encoding="utf-8") as f:
        page = f.read()
    wanted = page.split(MARK)[0] + MARK + "\n" + "\n".join(generated()) + "\n"
    if sys.argv[1:] == ["--check"]:
        if page != wanted:
            sys.exit("docs/qmp.md is not what the recordings make: run tests/interop/qmp_page.py")
        return
    with open(PAGE, "w", encoding="utf-8") as f:
        f.write(wanted)


if __name__ == "__main__":
    main()
