#!/usr/bin/env python3
"""Measures a program of docs/embedding.md or examples/ as its peers may treat it:

    embedding.py server PROGRAM OUT     PROGRAM unix:SOCKET OUT
    embedding.py stdio PROGRAM OUT      PROGRAM OUT, a socket as its standard input and output
    embedding.py once PROGRAM OUT       PROGRAM . slow OUT, one build

Processor time in three cases: nothing to do, a peer that floods and does not read, a peer that hangs
up in the middle of that. A stand-in for nix is the first on PATH: attr "flood" prints without end,
"slow" sleeps. Prints a line for each case; fails if one takes more than it may.
"""
import os
import signal
import socket
import subprocess
import sys
import time

SECONDS = 1.0
MOST_MS = 100  # of such a second; a loop that spins takes a thousand
TRIES = 10  # seconds; on a busy machine what came before may still be handled
PATIENCE = 60
PING = b'"Ping"\n'
FLOOD = b'{"Build":{"flake_ref":"f","attr":"flood"}}\n'


def used_ms(pid):
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) * 1000 // os.sysconf("SC_CLK_TCK")


def measure(what, pid):
    for _ in range(TRIES):
        before = used_ms(pid)
        time.sleep(SECONDS)
        used = used_ms(pid) - before
        if used <= MOST_MS:
            break
    print(f"{what}: {used} ms of {SECONDS:.0f} s", flush=True)
    if used > MOST_MS:
        sys.exit(f"{what}: at most {MOST_MS} ms")


def dial(path):
    for _ in range(PATIENCE * 50):
        try:
            s = socket.socket(socket.AF_UNIX)
            s.settimeout(PATIENCE)
            s.connect(path)
            return s
        except OSError:
            time.sleep(0.02)
    sys.exit("it does not listen")


def ping(s):
    s.sendall(PING)
    if s.recv(100) != b'"Pong"\n':
        sys.exit("no Pong")


def flood(s):
    """A build that prints without end, and Pings, none of it read, until nothing more is taken."""
    s.sendall(FLOOD)
    time.sleep(0.5)
    s.setblocking(False)
    for _ in range(5):
        try:
            while True:
                s.send(PING * 100)
        except BlockingIOError:
            time.sleep(0.05)


def server(program, out):
    path = os.path.join(out, "sock")
    p = subprocess.Popen([program, "unix:" + path, out])
    try:
        s = dial(path)
        ping(s)
        measure("idle", p.pid)
        flood(s)
        measure("a peer that floods and does not read", p.pid)
        ping(dial(path))
        s.close()
        time.sleep(0.5)
        measure("after it hung up", p.pid)
        ping(dial(path))
    finally:
        p.send_signal(signal.SIGTERM)
        p.wait()


def stdio(program, out):
    ours, theirs = socket.socketpair()
    p = subprocess.Popen([program, out], stdin=theirs, stdout=theirs)
    theirs.close()
    ours.settimeout(PATIENCE)
    ping(ours)
    measure("idle", p.pid)
    flood(ours)
    measure("a peer that floods and does not read", p.pid)
    ours.close()
    if p.wait(timeout=PATIENCE) != 0:
        sys.exit("it did not end well after its peer hung up")
    print("it ends when its peer hangs up")


def once(program, out):
    p = subprocess.Popen([program, ".", "slow", out], stdout=subprocess.DEVNULL)
    time.sleep(0.5)
    measure("a build that is silent", p.pid)
    p.send_signal(signal.SIGTERM)
    p.wait()


{"server": server, "stdio": stdio, "once": once}[sys.argv[1]](sys.argv[2], sys.argv[3])
