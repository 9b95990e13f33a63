#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# man3.py - pages of section 3 of the manual, made from the comments of the public headers
#
#   man3.py --list HEADER...                    the names of all pages, one a line
#   man3.py VERSION DATE FOLDER HEADER...       writes them
#
# session.h becomes ferry_session(3); each of its functions a page that leads there.  What a comment says of the
# declarations right below it is theirs, in its words: "@name: text" is a parameter, and what is indented stays as it is.
import os
import re
import sys

ITEM = re.compile(r"/\*.*?\*/|^[ \t]*#(?:\\\n|[^\n])*|\n[ \t]*\n|[^\s/#](?:[^;{}/]|/(?!\*)|/\*.*?\*/)*(?:\{(?:[^{}]|\{[^{}]*\})*\}[^;]*)?;",
                  re.S | re.M)
NOISE = re.compile(r"\bFERRY_API\b ?|\s*\bFERRY_CHECK\b|\s*\bFERRY_PRINTF\([^)]*\)|^FERRY_(?:BEGIN|END)_DECLS\s*", re.M)


def strip(comment):
    """The lines of a comment without its stars."""
    lines = [re.sub(r"^ ?\* ?", "", line.strip()) if i else line for i, line in enumerate(comment[2:-2].split("\n"))]
    return "\n".join(lines).lstrip("*").strip("\n ").rstrip()


def is_heading(text):
    return text.lstrip().startswith("--")


class Header:
    """One header: what it is about, and its (declaration, comment) pairs in their order."""

    def __init__(self, path):
        self.file = os.path.basename(path)
        self.page = "ferry_" + self.file[:-2]
        self.items = []
        with open(path, encoding="utf-8") as f:
            text = f.read()
        about = next(strip(c) for c in re.findall(r"/\*.*?\*/", text, re.S) if "SPDX" not in c)
        first, _, self.about = about.partition("\n")
        self.what = first.split(" - ", 1)[1]
        self.parse(text[text.index("#define"):].split("\n", 1)[1])

    def parse(self, text):
        comment = ""
        for token in ITEM.findall(text.replace("FERRY_BEGIN_DECLS", "").replace("FERRY_END_DECLS", "")):
            if not token.strip():
                comment = ""
            elif token.startswith("/*"):
                comment = "" if is_heading(strip(token)) else strip(token)
            elif token.lstrip().startswith("#"):
                self.macro(token, comment)
            else:
                self.items.append((NOISE.sub("", token), comment))

    def macro(self, token, comment):
        match = re.match(r"\s*#\s*define\s+(FERRY_\w+\([^)]*\))", token)
        if match and comment:
            self.items.append((match.group(1), comment))

    def functions(self):
        found = [re.search(r"\b(ferry_\w+)\(", item) for item, _ in self.items if "{" not in item]
        return list(dict.fromkeys(match.group(1) for match in found if match))

    def pages(self):
        return [self.page] + [name for name in self.functions() if name != self.page]


def roff(text):
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^([.'])", r"\\&\1", text, flags=re.M)


def prose(text):
    """A comment as roff."""
    out, kept, parameter = [], False, False
    for line in text.split("\n"):
        named, bullet = re.match(r"@(\w+): +(.*)", line), re.match(r" ?[-*] +(.*)", line)
        indented = line.startswith("   ") and not parameter and not bullet
        if indented != kept and (indented or line.strip()):
            out.append(".PP\n.EX" if indented else ".EE")
            kept = indented
        if kept:
            out.append(roff(line))
        elif named:
            out.append(f".TP\n.I {named.group(1)}\n{italic(named.group(2))}")
        elif bullet:
            out.append(f".IP \\(bu 2\n{italic(bullet.group(1))}")
        else:
            out.append(italic(line.strip()) if line.strip() else ".PP")
        parameter = bool(line.strip()) and bool(named or bullet or parameter)
    if kept:
        out.append(".EE")
    body = re.sub(r"(?:\.PP\n)+(?=\.PP|\.TP|\.IP|\.EE|\.SS|\.SH|\Z)", "", "\n".join(out))
    return re.sub(r"\A\.PP\n(?!\.EX)", "", re.sub(r"\n\.PP\Z", "", body))


def italic(line):
    return re.sub(r"(?<![\w:])@(\w+)", r"\\fI\1\\fR", roff(line))


def described(comment):
    """Kernel-doc names the function in its first line; the page does so already."""
    match = re.match(r"\w+\(\) - (.*)", comment)
    if not match:
        return comment
    first, _, rest = comment.partition("\n")
    return match.group(1)[0].upper() + match.group(1)[1:] + ".\n" + rest


def entry(declaration, comment):
    if "{" not in declaration:
        declaration = re.sub(r"\n\s+", "\n    ", declaration)
    text = ".PP\n.EX\n" + roff(declaration) + "\n.EE\n"
    return text + (".PP\n" + prose(described(comment)) + "\n" if comment else "")


def page(header, version, date, all_headers):
    name = ", ".join(header.pages())
    others = [other.page for other in all_headers if other is not header]
    text = [f'.\\" SPDX-License-Identifier: BSD-3-Clause\n.\\" Made from ferry/{header.file}; do not edit.\n'
            f'.TH {header.page.upper()} 3 {date} "ferry {version}" "Ferry"\n'
            f".SH NAME\n{roff(name)} \\- {roff(header.what)}\n"
            f".SH LIBRARY\nFerry (libferry, \\-lferry)\n"
            f".SH SYNOPSIS\n.B #include <ferry/{header.file}>\n"]
    if header.about.strip():
        text.append(f".SH DESCRIPTION\n{prose(header.about.strip(chr(10)))}\n")
    for title, wanted in (("TYPES", lambda d: "{" in d or "(" not in d), ("MACROS", lambda d: d.startswith("FERRY_")),
                          ("FUNCTIONS", lambda d: "{" not in d and "(" in d and not d.startswith("FERRY_"))):
        entries = [entry(d, c) for d, c in header.items if wanted(d)]
        if entries:
            text.append(f".SH {title}\n" + "".join(entries))
    see = ["ferry (1)"] + [other + " (3)" for other in others]
    text.append(".SH SEE ALSO\n" + ",\n".join(f".BR {s}" for s in see) + "\n")
    return "".join(text).replace("S\n.PP\n", "S\n").replace("DESCRIPTION\n.PP\n", "DESCRIPTION\n")


def main():
    if sys.argv[1] == "--list":
        print("\n".join(sorted({f"{name}.3" for path in sys.argv[2:] for name in Header(path).pages()})))
        return
    version, date, folder = sys.argv[1:4]
    headers = [Header(path) for path in sys.argv[4:]]
    for header in headers:
        for name in header.pages():
            with open(os.path.join(folder, name + ".3"), "w", encoding="utf-8") as f:
                f.write(page(header, version, date, headers) if name == header.page
                        else f".so man3/{header.page}.3\n")


main()
