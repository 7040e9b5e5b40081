#!/usr/bin/env python3
"""A build without disks: a folder goes in over the connection, and the artifacts come out of it.

    mkdir -p build
    protoc -Icodec/proto --python_out=build mvm.proto
    export PYTHONPATH=build
    docs/clients/stream_client.py SOCKET FOLDER ATTR OUTPUT

OUTPUT is a folder that does not exist yet. The archive of FOLDER is made in memory.
"""
import os
import secrets
import sys
import tempfile

from proto_client import Agent, mvm

NAMES = ("vmlinux kernel Image bzImage rootfs.ext4 rootfs rootfs.squashfs rootfs.img "
         "initrd fc-base.json image").split()
LARGEST = 16 << 30  # bytes of all artifacts together
PIECE = 65536


def texts(*words):
    return b"".join(len(word).to_bytes(8, "little") + word + bytes(-len(word) % 8) for word in words)


def node(path):
    """A file or folder in nix's archive format."""
    if os.path.islink(path):
        inner = texts(b"symlink", b"target", os.readlink(path))
    elif os.path.isdir(path):
        inner = texts(b"directory") + b"".join(
            texts(b"entry", b"(", b"name", name, b"node") + node(path + b"/" + name) + texts(b")")
            for name in sorted(os.listdir(path)))
    else:
        with open(path, "rb") as file:
            executable = [b"executable", b""] if os.fstat(file.fileno()).st_mode & 0o100 else []
            inner = texts(b"regular", *executable, b"contents", file.read())
    return texts(b"(", b"type") + inner + texts(b")")


def build_archive(agent, build, archive):
    """Sends as much as the agent requests, when it does; the Ok."""
    sent = 0
    for name, fields in agent.answers(build, "want", "ok"):
        if name == "ok":
            return fields
        end = min(sent + fields.bytes, len(archive))
        for at in range(sent, end, PIECE):
            data = archive[at:min(at + PIECE, end)]
            agent.send(source=mvm.Source(id=build, offset=at, data=data, last=at + len(data) == len(archive)))
        sent = end


def fetch(agent, build, artifact, file):
    """Writes the artifact to `file`; what no piece has is a hole."""
    at = 0
    file.truncate(artifact.size)
    agent.send(get=mvm.Get(id=build, name=artifact.name, length=artifact.size))
    for _, piece in agent.answers(build, "artifact"):
        if piece.name != artifact.name or not at <= piece.offset <= artifact.size - len(piece.data):
            sys.exit(f"{artifact.name}: bytes of another, out of order, or past its end")
        file.seek(piece.offset)
        at = piece.offset + file.write(piece.data)
        if piece.last:
            return


def main(path, folder, attr, output):
    agent = Agent(path)
    if not {"source", "artifacts"} <= set(agent.features()):
        sys.exit("this agent has no builds without disks")
    build = secrets.token_hex(16)
    archive = texts(b"nix-archive-1") + node(os.fsencode(folder))
    agent.send(stream_build=mvm.StreamBuild(attr=attr, id=build, source_size=len(archive)))
    ok = build_archive(agent, build, archive)
    if sum(artifact.size for artifact in ok.artifacts) > LARGEST:
        sys.exit("the artifacts are too large")
    with tempfile.TemporaryDirectory(dir=os.path.dirname(output) or ".") as fresh:
        for artifact in ok.artifacts:
            if artifact.name not in NAMES:  # no path ever comes from the agent
                sys.exit(f"not the name of an artifact: {artifact.name!r}")
            with open(os.path.join(fresh, artifact.name), "xb") as file:
                fetch(agent, build, artifact, file)
        os.rename(fresh, output)  # all of them, or none
        os.mkdir(fresh)
    agent.send(drop=mvm.Drop(id=build))
    print(ok.out_path)


if __name__ == "__main__":
    if len(sys.argv) != 5:
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    main(*sys.argv[1:])
