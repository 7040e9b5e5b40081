#!/usr/bin/env python3
"""A client of the builder agent: JSON lines over a Unix socket, Python's standard library alone.

    docs/clients/json_client.py SOCKET ping
    docs/clients/json_client.py SOCKET hello
    docs/clients/json_client.py SOCKET build FLAKE ATTR [SECONDS]
    docs/clients/json_client.py SOCKET join ID
    docs/clients/json_client.py SOCKET cancel ID

A build's id is the first line on stderr. It outlives a lost connection if it has a time-out: join it.
"""
import json
import secrets
import socket
import sys


class Agent:
    """A connection to an agent."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(60)  # a silent build sends a heartbeat every 10 seconds
        self.socket.connect(path)
        self.lines = self.socket.makefile("rb")

    def send(self, name, **fields):
        fields = {key: value for key, value in fields.items() if value is not None}
        self.socket.sendall(json.dumps({name: fields} if fields else name).encode() + b"\n")

    def receive(self):
        """The next response, as its name and its fields; None once the connection has ended."""
        line = self.lines.readline()
        if not line:
            return None
        answer = json.loads(line)
        return (answer, {}) if isinstance(answer, str) else next(iter(answer.items()))

    def features(self):
        """What the agent can; an old one refuses the request, and can none of it."""
        nonce = secrets.token_hex(16)
        self.send("Hello", nonce=nonce)
        while answer := self.receive():
            name, fields = answer
            if name == "Err":
                return []
            if name == "Hello" and fields.get("nonce") == nonce:
                return fields["features"].split()
        return []

    def follow(self, build):
        """Prints a build's lines, then how it ended; returns an exit status."""
        accepted = False
        while answer := self.receive():
            name, fields = answer
            names = (fields.get("id"), fields.get("refused"))
            if name == "Log" and fields.get("id") == build:
                accepted = True
                if fields["line"] or build and not fields.get("beat"):  # without ids it may be a heartbeat
                    print(fields["line"], file=sys.stderr)
            elif name == "Ok" and fields.get("id") == build:
                print(fields["out_path"])
                return 0
            elif name == "Err" and (build in names or names == (None, None) and not accepted):
                print(fields["message"], file=sys.stderr)
                return 1
        return 3  # the connection ended before the answer


def build(agent, flake, attr, seconds=None):
    new = "ids" in agent.features()
    name = secrets.token_hex(16) if new else None
    limit = int(seconds) if seconds else None
    if new:
        print("build", name, file=sys.stderr)
    keep = True if new and limit != 0 else None
    agent.send("Build", flake_ref=flake, attr=attr, timeout_secs=limit, id=name, keep=keep)
    return agent.follow(name)


def join(agent, name):
    agent.send("Join", id=name)
    return agent.follow(name)


def show(agent, request, **fields):
    """Sends a request that has one answer, and prints that."""
    agent.send(request, **fields)
    answer = agent.receive()
    if answer is None:
        return 3
    print(answer[0], *(f"{key}={value}" for key, value in answer[1].items()))
    return 1 if answer[0] == "Err" else 0


def main(path, command, *arguments):
    agent = Agent(path)
    commands = {
        "ping": lambda: show(agent, "Ping"),
        "hello": lambda: show(agent, "Hello", nonce=secrets.token_hex(16)),
        "cancel": lambda: show(agent, "Cancel", id=arguments[0]),
        "join": lambda: join(agent, *arguments),
        "build": lambda: build(agent, *arguments),
    }
    return commands[command]()


# How many arguments each command has, at least and at most.
ARGUMENTS = {"ping": (0, 0), "hello": (0, 0), "build": (2, 3), "join": (1, 1), "cancel": (1, 1)}


def is_usage(path=None, command=None, *arguments):
    least, most = ARGUMENTS.get(command, (1, 0))
    return least <= len(arguments) <= most


if __name__ == "__main__":
    if not is_usage(*sys.argv[1:]):
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    sys.exit(main(*sys.argv[1:]))
