#!/usr/bin/env python3
"""A client by the library itself, called through ctypes: no struct layout is written down here.

    ctypes_client.py SOCKET ping
    ctypes_client.py SOCKET build FLAKE ATTR

The log goes to stderr, byte by byte if library and agent have the protobuf wire (make PROTOBUF=no: use such a library
with such an agent), the store path to stdout. Exit status: 0 Ok or Pong, 1 Err, 3 no answer.
MVM_GUEST_LIBRARY names the shared library if it is not where the loader looks.
"""
import ctypes
import os
import socket
import sys
from ctypes import POINTER, byref, c_bool, c_char_p, c_int, c_size_t, c_uint64, c_void_p

# Numbers of mvm_message.h, mvm_session.h and mvm_binding.h.
RESPONSES, WIRE_JSON, WIRE_PROTO = 1, 1, 2
MESSAGE, BAD_FRAME = 1, 2
TEXT, FLAKE_REF, ATTR = 0, 2, 3

lib = ctypes.CDLL(os.environ.get("MVM_GUEST_LIBRARY", "libmvm-guest.so"))


def declare(result, name, *arguments):
    function = getattr(lib, name)
    function.restype, function.argtypes = result, arguments
    return function


version = declare(c_char_p, "mvm_version")
has_protobuf = declare(c_bool, "mvm_has_protobuf")
session_size = declare(c_size_t, "mvm_session_size")
message_size = declare(c_size_t, "mvm_message_size")
fields_cap = declare(c_size_t, "mvm_fields_cap", c_int)
session_init = declare(None, "mvm_session_init_buffers", c_void_p, c_int, c_void_p, c_size_t, c_void_p,
                       c_size_t, c_void_p, c_size_t)
session_speak = declare(None, "mvm_session_speak", c_void_p, c_int)
session_send = declare(None, "mvm_session_send", c_void_p, c_void_p)
session_bytes = declare(c_void_p, "mvm_session_bytes", c_void_p, POINTER(c_size_t))
session_sent = declare(None, "mvm_session_sent", c_void_p, c_size_t)
session_room = declare(c_void_p, "mvm_session_room", c_void_p, POINTER(c_size_t))
session_received = declare(None, "mvm_session_received", c_void_p, c_size_t)
session_next = declare(c_int, "mvm_session_next", c_void_p)
session_message = declare(c_void_p, "mvm_session_message", c_void_p)
session_explanation = declare(c_size_t, "mvm_session_explanation", c_void_p, c_char_p, c_size_t)
message_begin = declare(None, "mvm_message_begin", c_void_p, c_int)
message_put = declare(c_bool, "mvm_message_put", c_void_p, c_int, c_char_p, c_size_t)
message_put_timeout = declare(c_bool, "mvm_message_put_timeout", c_void_p, c_uint64)
message_kind = declare(c_int, "mvm_message_kind", c_void_p)
message_get = declare(c_void_p, "mvm_message_get", c_void_p, c_int, POINTER(c_size_t))

kind_by_name = declare(c_int, "mvm_kind_by_name", c_char_p)
BUILD, PING, OK, ERR, LOG, PONG = (kind_by_name(name) for name in (b"Build", b"Ping", b"Ok", b"Err", b"Log", b"Pong"))


class Connection:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        cap = fields_cap(RESPONSES)
        self.receive, self.send_buffer = (ctypes.create_string_buffer(65536) for _ in range(2))
        self.fields = ctypes.create_string_buffer(cap)
        self.session = ctypes.create_string_buffer(session_size())
        session_init(self.session, RESPONSES, self.receive, 65536, self.send_buffer, 65536, self.fields, cap)
        session_speak(self.session, WIRE_PROTO if has_protobuf() else WIRE_JSON)

    def send(self, message):
        length = c_size_t()
        session_send(self.session, message)
        while data := session_bytes(self.session, byref(length)):
            session_sent(self.session, self.socket.send(ctypes.string_at(data, length.value)))

    def messages(self):
        """Yields kind and text of each message until the agent closes the connection."""
        while True:
            event, length = session_next(self.session), c_size_t()
            if event == MESSAGE:
                message = session_message(self.session)
                text = message_get(message, TEXT, byref(length))
                yield message_kind(message), ctypes.string_at(text, length.value) if text else b""
            elif event == BAD_FRAME:
                why = ctypes.create_string_buffer(256)
                session_explanation(self.session, why, len(why))
                print("ctypes_client:", why.value.decode(), file=sys.stderr)
            else:
                room = session_room(self.session, byref(length))
                data = self.socket.recv(length.value)
                if not data:
                    return
                ctypes.memmove(room, data, len(data))
                session_received(self.session, len(data))


def main(arguments):
    if len(arguments) < 2 or (arguments[1], len(arguments)) not in (("ping", 2), ("build", 4)):
        print(__doc__, file=sys.stderr)
        return 2
    message = ctypes.create_string_buffer(message_size())
    texts = [text.encode() for text in arguments[2:]]  # kept until the message is sent
    message_begin(message, BUILD if texts else PING)
    for field, text in zip((FLAKE_REF, ATTR), texts):
        message_put(message, field, text, len(text))
    if texts:
        message_put_timeout(message, 1800)
    connection = Connection(arguments[0])
    connection.send(message)
    for kind, text in connection.messages():
        if kind == LOG and text:
            sys.stderr.buffer.write(text + b"\n")
            sys.stderr.buffer.flush()
        elif kind in (OK, PONG):
            print(text.decode() if kind == OK else "pong, by library version " + version().decode())
            return 0
        elif kind == ERR:
            sys.stderr.buffer.write(b"ctypes_client: " + text + b"\n")
            return 1
    print("ctypes_client: no answer", file=sys.stderr)
    return 3


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
