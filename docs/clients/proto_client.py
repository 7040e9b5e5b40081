#!/usr/bin/env python3
"""A client of the builder agent: protobuf over a Unix socket, by code that protoc generates.

    mkdir -p build
    protoc -Icodec/proto --python_out=build mvm.proto
    export PYTHONPATH=build
    docs/clients/proto_client.py SOCKET ping
    docs/clients/proto_client.py SOCKET hello
    docs/clients/proto_client.py SOCKET build FLAKE ATTR [SECONDS]
    docs/clients/proto_client.py SOCKET join ID
    docs/clients/proto_client.py SOCKET cancel ID

A build's id is the first line on stderr. It outlives a lost connection if it has a time-out: join it.
"""
import secrets
import socket
import struct
import sys

import mvm_pb2 as mvm

LONGEST = 1 << 20  # bytes of a message; no agent sends one of a tenth of that


class Agent:
    """A connection to an agent."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(60)  # a silent build sends a heartbeat every 10 seconds
        self.socket.connect(path)
        self.stream = self.socket.makefile("rb")

    def send(self, **kind):
        message = mvm.Request(**kind).SerializeToString()
        self.socket.sendall(struct.pack(">BI", 0, len(message)) + message)

    def receive(self):
        """The next response, as its name and its fields; None once the connection has ended."""
        prefix = self.stream.read(5)
        if len(prefix) < 5:
            return None
        length = struct.unpack(">xI", prefix)[0]
        if length > LONGEST:
            sys.exit(f"a message of {length} bytes")
        response = mvm.Response.FromString(self.stream.read(length))
        name = response.WhichOneof("kind")
        return name, getattr(response, name) if name else None

    def features(self):
        """What the agent can; an old one refuses the request, and can none of it."""
        nonce = secrets.token_hex(16)
        self.send(hello=mvm.Hello(nonce=nonce))
        while answer := self.receive():
            name, fields = answer
            if name == "err":
                return []
            if name == "hello" and fields.nonce == nonce:
                return fields.features.split()
        return []

    def answers(self, build, *kinds):
        """Prints a build's lines and yields its messages of these kinds; an Err ends the program."""
        accepted = False
        while answer := self.receive():
            name, fields = answer
            if name == "log" and fields.id == build:
                accepted = True
                if fields.line or build and not fields.beat:  # without ids it may be a heartbeat
                    sys.stderr.buffer.write(fields.line + b"\n")
                    sys.stderr.buffer.flush()
            elif name == "err":
                names = (fields.id, fields.refused)
                if build in names or names == ("", "") and not accepted:
                    sys.exit(fields.message)
            elif name in kinds and fields.id == build:
                yield name, fields
        sys.exit(3)  # the connection ended before the answer

    def follow(self, build):
        """Prints a build's lines, then its store path; returns an exit status."""
        _, ok = next(self.answers(build, "ok"))
        print(ok.out_path)
        return 0


def build(agent, flake, attr, seconds=None):
    new = "ids" in agent.features()
    request = mvm.Build(flake_ref=flake, attr=attr)
    if seconds:
        request.timeout_secs = int(seconds)
    if new:
        request.id = secrets.token_hex(16)
        request.keep = seconds is None or int(seconds) > 0
        print("build", request.id, file=sys.stderr, flush=True)
    agent.send(build=request)
    return agent.follow(request.id)


def join(agent, name):
    agent.send(join=mvm.Join(id=name))
    return agent.follow(name)


def show(agent, **kind):
    """Sends a request that has one answer, and prints that."""
    agent.send(**kind)
    answer = agent.receive()
    if answer is None:
        return 3
    name, fields = answer
    print(name.capitalize(), *(f"{field.name}={value}" for field, value in fields.ListFields()))
    return 1 if name == "err" else 0


def main(path, command, *arguments):
    agent = Agent(path)
    commands = {
        "ping": lambda: show(agent, ping=mvm.Ping()),
        "hello": lambda: show(agent, hello=mvm.Hello(nonce=secrets.token_hex(16))),
        "cancel": lambda: show(agent, cancel=mvm.Cancel(id=arguments[0])),
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
