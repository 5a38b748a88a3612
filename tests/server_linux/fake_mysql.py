"""A server of MySQL's language that writes down all that it is told.

Usage: fake_mysql.py SOCKET LOG PLUGIN. It asks whoever logs in for PLUGIN, believes every answer, and fails every question.
"""
import os
import socket
import struct
import sys

PATH, LOG, PLUGIN = sys.argv[1:]
SCRAMBLE = b"12345678abcdefghijkl"


def note(what, data=b""):
    with open(LOG, "ab") as log:
        log.write(what.encode() + b" " + data + b"\n")


def receive(peer, count):
    data = b""
    while len(data) < count:
        more = peer.recv(count - len(data))
        if not more:
            raise ConnectionError
        data += more
    return data


def packet(peer):
    head = receive(peer, 4)
    return head[3], receive(peer, int.from_bytes(head[:3], "little"))


def send(peer, number, data):
    peer.sendall(len(data).to_bytes(3, "little") + bytes([number]) + data)


def greeting():
    low, high = 0xA20F, 0x0008
    return (
        b"\x0a5.5.5-10.11.0-MariaDB\0" + struct.pack("<I", 7) + SCRAMBLE[:8] + b"\0" + struct.pack("<HBHH", low, 33, 2, high)
        + bytes([21]) + bytes(10) + SCRAMBLE[8:] + b"\0mysql_native_password\0"
    )


def serve(peer):
    note("connect")
    send(peer, 0, greeting())
    number, data = packet(peer)
    note("login", data)
    question = {"dialog": b"\x04Password: "}.get(PLUGIN, SCRAMBLE + b"\0")
    send(peer, number + 1, b"\xfe" + PLUGIN.encode() + b"\0" + question)
    number, data = packet(peer)
    note("answer", data)
    if PLUGIN == "caching_sha2_password":
        send(peer, number + 1, b"\x01\x04")
        number, data = packet(peer)
        note("answer", data)
    send(peer, number + 1, b"\0\0\0\2\0\0\0")
    while True:
        number, data = packet(peer)
        note("question", data)
        send(peer, 1, b"\xff\x10\x04#HY000no")


listener = socket.socket(socket.AF_UNIX)
listener.bind(PATH)
os.chmod(PATH, 0o777)
listener.listen(8)
open(LOG, "ab").close()
while True:
    peer = listener.accept()[0]
    try:
        serve(peer)
    except (ConnectionError, BrokenPipeError):
        peer.close()
