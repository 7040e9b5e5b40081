"""quoted.py PAGE ... [FOLDER ...]: the messages that pages quote are said by the sources, and those that the sources
in the folders print are quoted.

Of a manual page the items of its diagnostics are compared. Of a page in Markdown: the backquoted texts in the first
column of the tables whose head is "message"; elsewhere the texts of two words or more that are backquoted and are not
commands, or are in quotation marks and begin with a small letter; and indented lines that begin as a message does. Where
the head of a table is "it says", its first column has messages of other programs, which the page may quote.

A message may begin with "mvm-builder: ". Its variable parts are words in capitals, the letter N or n, numbers, paths, and
"..." or "…". What is between them must be part of a string of the sources, or up to four pieces in a row: the end of a
string, whole strings or texts of strerror(3), the beginning of a string. Prints what is not.

Of a folder's sources the page must quote: in agent and server, how each logged line begins, also if a function passes
its parameter on as that, and what the function that begins a line adds to it as strings; reasons that are passed as
further arguments need not be quoted. In host, each string of three words or more, but for usage errors, the help, and
what the status line shows.
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
GLUE = " :;,("
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


def contents(folder):
    for path in sorted(glob.glob(folder + "/*.c")):
        with open(path, encoding="utf-8") as file:
            yield path, re.sub(r"/\*.*?\*/", "", file.read(), flags=re.S)


def texts(code):
    """The strings in some code, adjacent ones joined."""
    for run in re.findall(STRING + r"(?:\s*" + STRING + ")*", code):
        yield "".join(part[1:-1] for part in re.findall(STRING, run))


def calls(code, name):
    """The arguments of each call of a function."""
    for call in re.finditer(r"\b" + name + r"\(", code):
        arguments, depth = [""], 0
        for token in re.findall(STRING + r"|'\\?.'|.", code[call.end() :], re.S):
            depth += (token in "([{") - (token in ")]}")
            if depth < 0:
                break
            if token == "," and depth == 0:
                arguments.append("")
            else:
                arguments[-1] += token
        yield [argument.strip() for argument in arguments]


def functions(code):
    """Name, parameters' names, body, and whether it is static, of each function."""
    for found in re.finditer(r"^(static )?[a-z][\w ]*[ *](\w+)\(([^)]*)\)\n\{\n(.*?)^\}", code, re.M | re.S):
        parameters = [re.sub(r".*\W", "", p.strip()) for p in found[3].split(",")]
        yield found[2], parameters, found[4], bool(found[1])


# Which argument is how a line begins.
LOGS = {
    ("", "mvm_log"): 0,
    ("", "mvm_log_begin"): 1,
    ("", "mvm_server_say"): 1,
    ("", "mvm_server_say_begin"): 1,
}


def find_wrappers(sources):
    """LOGS, and the functions that pass a parameter on as that argument."""
    logs = dict(LOGS)
    while True:
        before = len(logs)
        for path, code in sources:
            for name, parameters, body, is_static in functions(code):
                for (file, log), index in list(logs.items()):
                    for call in calls(body, log) if file in ("", path) else ():
                        if len(call) > index and call[index] in parameters and ("", name) not in logs:
                            logs[path if is_static else "", name] = parameters.index(call[index])
        if len(logs) == before:
            return logs


def begun(code, argument):
    """The texts that an argument can be: strings, or a constant of the file."""
    constant = re.search(r"^static const char " + re.escape(argument) + r"\[\] =([^;]*);", code, re.M)
    return texts(constant[1] if constant else argument)


def logged(folders):
    """How each line begins that is logged, and what is added to it."""
    sources = [source for folder in folders for source in contents(folder)]
    logs = find_wrappers(sources)
    for path, code in sources:
        for (file, log), index in logs.items():
            for call in calls(code, log) if file in ("", path) else ():
                if len(call) > index:
                    yield from ((path, text) for text in begun(code, call[index]))
        for _, _, body, _ in functions(code):
            for lines in re.findall(r"_begin\(&line, (.*?)_end\(", body, re.S):
                yield from ((path, text) for text in texts(lines))


USAGE = {"host/options.c", "host/address.c", "host/help.c"}
STATUS = {"host/status.c", "host/phase.c"}


def told(folder):
    """What the host tool prints for people."""
    for path, code in contents(folder):
        code = re.sub(r"mvm_display_(start|change)\([^;]*;", "", code)
        for text in texts(code) if path not in USAGE | STATUS else ():
            if re.search(r"(\b[a-z']{2,}\b[,:;]? ){2}[a-z]", text):
                yield path, text


def printed(folders):
    texts_of_agent = logged([folder for folder in folders if folder != "host"])
    texts_of_host = told("host") if "host" in folders else ()
    for path, text in (*texts_of_agent, *texts_of_host):
        text = re.sub(r"^mvm-builder: |%s|\\n", "", text).strip(GLUE + ")'\"")
        if len(re.findall("[a-z]", text)) > 2:
            yield path, text


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
    for cut in re.finditer(r"[ (]|(?=[;,])", part):
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
    for path, text in printed(sys.argv[1 + len(pages) :]):
        if text not in page:
            print(f"{path} says '{text}', which {pages[0]} does not have")
            bad += 1
    print(f"{checked} messages")
    return bad > 0 or checked == 0


if __name__ == "__main__":
    sys.exit(main())
