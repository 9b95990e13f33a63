# SPDX-License-Identifier: BSD-3-Clause
# qmp_shapes.py - recorded QMP exchanges, and where Ferry's answers may differ in shape from QEMU's
import json
import os

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "qmp")
QEMUS = ("qemu-10", "qemu-7.2")

# Exchanges that Ferry answers otherwise, by name, and why.
OTHERWISE = {
    "migrate-set-parameters, less than nothing":
        "QEMU takes -1 for 2^64 - 1; Ferry refuses it.",
}

# Members that older QEMUs have and the newest has no more.
GONE = {"skipped", "block-incremental", "compress-level", "compress-threads", "compress-wait-thread",
        "decompress-threads"}
GONE_CAPABILITIES = {"block", "compress"}


def load(name):
    with open(os.path.join(FOLDER, name + ".jsonl"), encoding="utf-8") as f:
        return [json.loads(line) for line in f]


def kind(value):
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        return "number"
    return {str: "string", list: "array", dict: "object", type(None): "null"}[type(value)]


def by_name(answer):
    """Lists of named things, as objects of them."""
    for name in ("capability", "name"):
        if isinstance(answer, list) and answer and all(isinstance(item, dict) and name in item for item in answer):
            return {item[name]: item for item in answer}
    return answer


def compare(theirs, ours, path=""):
    """What is wrong with our answer's shape beside theirs: a list of sentences."""
    theirs, ours = by_name(theirs), by_name(ours)
    if kind(theirs) != kind(ours):
        return [f"{path or 'it'}: is {kind(ours)}, at QEMU {kind(theirs)}"]
    wrong = []
    if isinstance(theirs, dict):
        for name, value in theirs.items():
            if name in ours:
                wrong += compare(value, ours[name], f"{path}.{name}".lstrip("."))
            elif name not in GONE | GONE_CAPABILITIES:
                wrong.append(f"{path}.{name}: is missing".lstrip("."))
        for name in ours:
            if name not in theirs and name != "ferry" and path.rsplit(".", 1)[-1] != "ferry":
                wrong.append(f"{path}.{name}: QEMU has no such member".lstrip("."))
    elif isinstance(theirs, list) and theirs and ours:
        wrong += compare(theirs[0], ours[0], f"{path}[0]")
    return wrong
