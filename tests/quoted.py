"""quoted.py PAGE ... [FOLDER ...]: the messages that pages quote are said by the sources, and those that the sources
in the folders log are quoted.

Of a manual page the items of its diagnostics are compared. Of a page in Markdown: the backquoted texts in the first
column of the tables whose head is "message"; elsewhere the texts of two words or more that are backquoted and are not
commands, or are in quotation marks and begin with a small letter; and indented lines that begin as a message does. Where
the head of a table is "it says", its first column has messages of other programs, which the page may quote.

A message may begin with "mvm-builder: ". Its variable parts are words in capitals, the letter N or n, numbers, paths, and
"..." or "…". What is between them must be part of a string of the sources, or up to four pieces in a row: the end of a
string, whole strings or texts of strerror(3), the beginning of a string. Prints what is not.
"""

import glob
import os
import re
import sys

STRING = r'"(?:[^"\\\n]|\\.)*"'
VARIABLE = r"\b(?:[A-Z][A-Z#]+|[Nn]|[0-9]+)\b|/[a-z](?:[-/a-z]|\.(?=[a-z]))*|\.\.\.|…"
COMMAND = re.compile(
    r"(^| )-{1,2}\w|[=$\\]|^(\./|#)|"
    r"^(apt-get|debugfs|diff|export|firecracker|flock|make|modprobe|mvm-builder|nix copy|struct|systemctl|systemd-analyze) "
)
FORMAT = r"%[-.*0-9]*[a-z]+"
GLUE = " :;("
ESCAPES = {"n": "\n", "t": "\t", '"': '"', "\\": "\\", "e": "\x1b"}


def strings():
    folders = "text codec executor session port/posix transport server agent host include"
    for folder in folders.split():
        for path in glob.glob(folder + "/**/*.[ch]", recursive=True):
            with open(path, encoding="utf-8") as file:
                text = re.sub(r"MVM_STORE\b", '"/nix/store"', file.read())
            for run in re.findall(STRING + r"(?:\s*" + STRING + ")*", text):
                parts = re.findall(STRING, run)
                yield re.sub(r"\\(.)", lambda m: ESCAPES.get(m[1], m[1]), "".join(p[1:-1] for p in parts))


def items(path):
    """The items of a manual page's diagnostics."""
    with open(path, encoding="utf-8") as file:
        for listing in re.findall(r"^\.Bl -diag$(.*?)^\.El$", file.read(), re.M | re.S):
            yield from re.findall(r'^\.It "(.*)"$', listing, re.M)


def prose(text):
    """The quoted texts of some lines that may be messages."""
    text = " ".join(text.split())
    for quote in re.findall(r"`([^`]*)`", text):
        if " " in quote and not COMMAND.search(quote):
            yield quote
    yield from re.findall(r'(?<!\w)"([a-z][^"]* [^"]*)"', re.sub(r"`[^`]*`", "``", text))


def quotes(path):
    """The messages that a page in Markdown quotes: ours, and of other programs."""
    ours, others, lines, head = [], [], [], ""
    with open(path, encoding="utf-8") as file:
        text = re.sub(r"^```.*?^```$", "", file.read(), flags=re.M | re.S)
    for line in text.splitlines():
        head = (head or line) if line.startswith("|") else ""
        if re.match(r"\| (the )?message|\| it says", head):
            first, line = line.split("|", 2)[1:]
            (others if head.startswith("| it says") else ours).extend(re.findall(r"`([^`]*)`", first))
        if re.match("    mvm(-builder)?: ", line):
            ours.append(line.strip())
        elif not line.startswith("    "):
            lines.append(line)
    return ours + list(prose("\n".join(lines))), others


LOGS = r"\b(?:mvm_log|mvm_log_begin|mvm_server_say|mvm_server_say_begin|mvm_server_listener_down|mvm_init_device_fail)\("


def logged(folders):
    """The first text of each call that logs a line."""
    for folder in folders:
        for path in sorted(glob.glob(folder + "/*.c")):
            with open(path, encoding="utf-8") as file:
                for call in re.findall(LOGS + r"([^;]*);", file.read()):
                    run = re.search(STRING + r"(?:\s*" + STRING + ")*", call)
                    text = "".join(p[1:-1] for p in re.findall(STRING, run[0])) if run else ""
                    if len(text) > 7:
                        yield path, text.strip(" :(;")


def is_joined(part, said, errors, cuts):
    """Whether a text whose beginning is that of a string consists of whole strings and the beginning of one."""
    part = part.strip(GLUE)
    return any(text.startswith(part) for text in said | errors) or (
        cuts > 0 and any(a in said | errors and is_joined(b, said, errors, cuts - 1) for a, b in halves(part))
    )


def is_said(part, said, errors):
    return any(part in text for text in said) or any(
        (a in errors or any(text.endswith(a) for text in said)) and is_joined(b, said, errors, 2) for a, b in halves(part)
    )


def halves(part):
    for cut in re.finditer(r"[ (]|(?=;)", part):
        yield part[: cut.end()].strip(GLUE), part[cut.end() :]


def main():
    said = {piece.strip(GLUE) for text in strings() for piece in re.split(FORMAT, text)} - {""}
    errors = {os.strerror(number) for number in range(1, 134)}
    pages = [name for name in sys.argv[1:] if os.path.isfile(name)]
    checked, bad = 0, 0
    page = ""
    for path in pages:
        ours, others = quotes(path) if path.endswith(".md") else (list(items(path)), [])
        page += "\n".join(ours)
        checked += len(ours)
        for quote in ours:
            for part in re.split(VARIABLE, quote.removeprefix("mvm-builder: ")):
                part = part.strip(GLUE + "\"'")
                if len(part) > 2 and not is_said(part, said | set(others), errors):
                    print(f"{path}: nothing says '{part}' of '{quote}'")
                    bad += 1
    for path, text in logged(sys.argv[1 + len(pages) :]):
        if text not in page:
            print(f"{path} logs '{text}', which {pages[0]} does not have")
            bad += 1
    print(f"{checked} messages")
    return bad > 0 or checked == 0


if __name__ == "__main__":
    sys.exit(main())
