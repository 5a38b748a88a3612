#!/usr/bin/env python3
"""Plays QEMU: passes the trial, answers the monitor, and has a guest report what the file "guest" beside it says, or
"guest again" if the file "starts", which notes each start, is there and not empty."""
import base64, json, os, re, socket, sys, threading, time

arguments = sys.argv[1:]
here = os.path.dirname(os.path.realpath(__file__))
if not any("id=monitor" in word for word in arguments):
    sys.exit(33)
text = " ".join(arguments)
descriptor = lambda name: int(re.search(rf"id={name},fd=(\d+)", text).group(1))
monitor, console, report = (socket.socket(fileno=descriptor(name)) for name in ("monitor", "serial0", "serial1"))
credential = re.search(r"tmpfiles\.extra=(\S+)", text).group(1)
lines = base64.b64decode(credential).decode().split()
mark = None
for word in lines:
    try:
        found = re.search(rb"COUNTERPART-PROBE-[0-9a-f]+", base64.b64decode(word, validate=True))
    except ValueError:
        continue
    if found:
        mark = found.group(0)
# The disk can be read and nothing else.
disk = int(re.search(r"-add-fd fd=(\d+)", text).group(1))
os.pread(disk, 512, 0)
try:
    os.pwrite(disk, b"x", 0)
    sys.exit("the disk can be written")
except OSError:
    pass
monitor.sendall(b'{"QMP": {"version": {}, "capabilities": []}}\r\n')
pending = b""


part = "guest"
try:
    with open(os.path.join(here, "starts"), "r+") as starts:
        part = "guest again" if starts.read() else "guest"
        starts.write("started\n")
except FileNotFoundError:
    pass


def play():
    """The guest, which runs beside the monitor."""
    with open(os.path.join(here, part), "rb") as file:
        for line in file:
            if line.startswith(b"console "):
                console.sendall(line[8:])
            elif line.startswith(b"wait-for "):
                while not os.path.exists(line[9:].strip().decode()):
                    time.sleep(0.02)
            else:
                report.sendall(mark + b" " + line.rstrip(b"\n") + b"\r\n")


threading.Thread(target=play, daemon=True).start()
while True:
    got = monitor.recv(65536)
    if not got:
        break
    pending += got
    while b"\n" in pending:
        line, pending = pending.split(b"\n", 1)
        request = json.loads(line)
        what, given, answer = request["execute"], request.get("arguments", {}), {}
        if what == "query-blockstats":
            answer = [{"stats": {"rd_operations": 7, "wr_operations": 1}}]
        elif what == "human-monitor-command":
            command = given["command-line"]
            if command.startswith("i "):
                answer = "portb[0x03d5] = 0x00\r\n"
            elif command.startswith("xp "):
                answer = "".join(f"00000000000b{8000 + at * 10}: 0x07200748 0x07200720 0x07200720 0x07200720\r\n" for at in range(1))
            else:
                answer = ""
        elif what == "screendump":
            with open(given["filename"], "wb") as file:
                file.write(b"\x89PNG\r\n\x1a\npicture")
        monitor.sendall(json.dumps({"return": answer, "id": request["id"]}).encode() + b"\r\n")
