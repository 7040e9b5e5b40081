"""quoted.py PAGE [FOLDER ...]: the messages that a page quotes are said by the sources, and those that the sources
in the folders log are quoted.

Of a manual page the items of its diagnostics are compared, of a page in Markdown the backquoted texts in the first
column of the tables whose head is "message". A message may begin with "mvm-builder: ". Its variable parts are words
in capitals, the letter N or n, numbers, paths, and "..." or "…". What is between them must be in a string of the
sources or a text of strerror(3), or consist of at most four such pieces. Prints what is not.
"""

import glob
import os
import re
import sys

STRING = r'"(?:[^"\\\n]|\\.)*"'
VARIABLE = r"\b(?:[A-Z][A-Z#]+|[Nn]|[0-9]+)\b|/[a-z][-/a-z]*|\.\.\.|…"
ESCAPES = {"n": "\n", "t": "\t", '"': '"', "\\": "\\", "e": "\x1b"}


def strings():
    folders = "text codec executor session port transport server agent host include"
    for folder in folders.split():
        for path in glob.glob(folder + "/**/*.[ch]", recursive=True):
            with open(path, encoding="utf-8") as file:
                text = re.sub(r"MVM_STORE\b", '"/nix/store"', file.read())
            for run in re.findall(STRING + r"(?:\s*" + STRING + ")*", text):
                parts = re.findall(STRING, run)
                yield re.sub(r"\\(.)", lambda m: ESCAPES.get(m[1], m[1]), "".join(p[1:-1] for p in parts))


def quotes(path):
    with open(path, encoding="utf-8") as file:
        text = file.read()
    if not path.endswith(".md"):
        for listing in re.findall(r"^\.Bl -diag$(.*?)^\.El$", text, re.M | re.S):
            yield from re.findall(r'^\.It "(.*)"$', listing, re.M)
        return
    inside = False
    for line in text.splitlines():
        if not line.startswith("|"):
            inside = False
        elif re.match(r"\| (the )?message", line):
            inside = True
        elif inside:
            yield from re.findall(r"`([^`]*)`", line.split("|")[1])


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


def is_said(part, said, errors, cuts=3):
    part = part.strip(" :")
    if part == "" or part in errors or any(part in text for text in said):
        return True
    return cuts > 0 and any(
        is_said(part[:cut], said, errors, 0) and is_said(part[cut:], said, errors, cuts - 1)
        for cut in (m.end() for m in re.finditer(r"[ (]|(?=;)", part))
    )


def main():
    said = set(strings())
    errors = {os.strerror(number) for number in range(1, 134)}
    checked, bad = 0, 0
    for quote in quotes(sys.argv[1]):
        checked += 1
        parts = re.split(VARIABLE, quote.removeprefix("mvm-builder: "))
        for part in parts:
            part = part.strip("\"' ")
            if len(part) > 2 and not is_said(part, said, errors):
                print(f"{sys.argv[1]}: nothing says '{part}' of '{quote}'")
                bad += 1
    page = "\n".join(quotes(sys.argv[1]))
    for path, text in logged(sys.argv[2:]):
        if text not in page:
            print(f"{path} logs '{text}', which {sys.argv[1]} does not have")
            bad += 1
    print(f"{checked} messages")
    return bad > 0 or checked == 0


sys.exit(main())
