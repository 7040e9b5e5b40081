#!/usr/bin/env python3
"""A client of the builder agent: protobuf over a Unix socket, by code that protoc generates.

    protoc -Icodec/proto --python_out=. mvm.proto
    proto_client.py SOCKET ping
    proto_client.py SOCKET build FLAKE ATTR [SECONDS]
"""
import socket
import struct
import sys

import mvm_pb2


def ask(path, request):
    """Sends one request; yields each answer."""
    with socket.socket(socket.AF_UNIX) as agent:
        agent.settimeout(60)  # a silent build is heard of every 10 seconds
        agent.connect(path)
        message = request.SerializeToString()
        agent.sendall(struct.pack(">BI", 0, len(message)) + message)
        stream = agent.makefile("rb")
        while prefix := stream.read(5):
            yield mvm_pb2.Response.FromString(stream.read(struct.unpack(">xI", prefix)[0]))


def main(path, command, flake=None, attr=None, seconds=None):
    build = mvm_pb2.Build(flake_ref=flake, attr=attr, timeout_secs=int(seconds) if seconds else None)
    ping = mvm_pb2.Request(ping=mvm_pb2.Ping())
    for answer in ask(path, mvm_pb2.Request(build=build) if command == "build" else ping):
        name = answer.WhichOneof("kind")
        if name == "log" and answer.log.line:  # an empty one is a sign of life
            sys.stderr.buffer.write(answer.log.line + b"\n")
        elif name in ("ok", "pong"):
            print(answer.ok.out_path or "Pong")
            return 0
        elif name == "err":
            print(answer.err.message, file=sys.stderr)
            return 1
    return 3  # closed before the answer


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
