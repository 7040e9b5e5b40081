#!/usr/bin/env python3
"""A client of the builder agent: JSON lines over a Unix socket, Python's standard library alone.

    json_client.py SOCKET ping
    json_client.py SOCKET build FLAKE ATTR [SECONDS]
"""
import json
import socket
import sys


def ask(path, request):
    """Sends one request; yields each answer as its name and its fields."""
    with socket.socket(socket.AF_UNIX) as agent:
        agent.settimeout(60)  # a silent build is heard of every 10 seconds
        agent.connect(path)
        agent.sendall(json.dumps(request).encode() + b"\n")
        for line in agent.makefile("rb"):
            answer = json.loads(line)
            yield from [(answer, None)] if isinstance(answer, str) else answer.items()


def main(path, command, flake=None, attr=None, seconds=None):
    build = {"flake_ref": flake, "attr": attr, "timeout_secs": int(seconds) if seconds else None}
    for name, fields in ask(path, {"Build": build} if command == "build" else "Ping"):
        if name == "Log" and fields["line"]:  # an empty one is a sign of life
            print(fields["line"], file=sys.stderr)
        elif name in ("Ok", "Pong"):
            print(fields["out_path"] if fields else name)
            return 0
        elif name == "Err":
            print(fields["message"], file=sys.stderr)
            return 1
    return 3  # closed before the answer


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
