#!/usr/bin/python3
"""Records docs/first-clone.svg: a shell in a terminal, in which the built program makes a first clone.

    cargo build --release && sudo docs/record.py

Nothing is invented: the shell runs in a mount namespace of its own, where /srv is a small tree, /mnt/clone an ext4 disk in a
file, and the directories of logs and state are empty, and what it prints is drawn as it came. Needs Linux, root,
Debian's python3-pyte and e2fsprogs, and rsync.
"""

import ctypes
import html
import os
import pty
import select
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyte

PROJECT = Path(__file__).resolve().parent.parent
OUTPUT = PROJECT / "docs/first-clone.svg"
COLUMNS, ROWS = 118, 30
PROMPT = "# "
COMMANDS = [
    "counterpart -s /srv -d /mnt/clone -t",
    "counterpart -s /srv -d /mnt/clone",
    "counterpart status",
]
# Seconds: between keys, after a command, at the end, and the shortest time that a frame is shown.
KEY, PAUSE, END, SHORTEST = 0.05, 2.0, 8.0, 0.04
TIME_LIMIT = 60

CLONE_NEWNS, MS_REC, MS_PRIVATE = 0x20000, 0x4000, 1 << 18


def own_namespace():
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS) or libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None):
        sys.exit(f"record: {os.strerror(ctypes.get_errno())}: run this as root")


def run(*command):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=TIME_LIMIT)


def prepare(work):
    """Mounts the example: only this process and its children see it."""
    for directory in ("/srv", "/var/log", "/var/lib", "/run", "/mnt"):
        run("mount", "-t", "tmpfs", "tmpfs", directory)
    os.mkdir("/mnt/clone")
    disk = work / "disk.img"
    with disk.open("wb") as image:
        image.truncate(512 << 20)
    run("mkfs.ext4", "-q", "-L", "CLONE", str(disk))
    run("mount", "-o", "loop", str(disk), "/mnt/clone")
    for site in ("shop", "wiki", "intranet"):
        pages = Path("/srv") / site / "pages"
        pages.mkdir(parents=True)
        for number in range(700):
            (pages / f"page-{number:04}.html").write_text(f"<h1>{site} {number}</h1>\n" * 400)
        (Path("/srv") / site / "logo.png").write_bytes(os.urandom(4 << 20))
    os.link("/srv/shop/logo.png", "/srv/shop/favicon.png")
    shutil.chown("/srv/wiki", "nobody")


class Recorder:
    """A terminal, and what it showed when."""

    def __init__(self, descriptor):
        self.descriptor = descriptor
        self.screen = pyte.Screen(COLUMNS, ROWS)
        self.stream = pyte.ByteStream(self.screen)
        self.start = time.monotonic()
        self.frames = []

    def snapshot(self):
        shown = tuple(line.rstrip() for line in self.screen.display)
        now = time.monotonic() - self.start
        if not self.frames or self.frames[-1][1] != shown:
            self.frames.append((now, shown))

    def read_for(self, seconds):
        """Draws what comes within this time; the end of the shell ends it as well."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if select.select([self.descriptor], [], [], min(left, SHORTEST))[0]:
                try:
                    self.stream.feed(os.read(self.descriptor, 65536))
                except OSError:
                    break
            self.snapshot()

    def read_until_prompt(self):
        end = time.monotonic() + TIME_LIMIT
        while time.monotonic() < end:
            self.read_for(SHORTEST)
            line = self.screen.display[self.screen.cursor.y].rstrip()
            if line == PROMPT.rstrip() and self.screen.cursor.x == len(PROMPT):
                return
        sys.exit("record: a command did not finish")

    def type(self, text):
        for key in text:
            os.write(self.descriptor, key.encode())
            self.read_for(KEY)


def record():
    environment = {"PS1": PROMPT, "TERM": "xterm", "LC_ALL": "C.UTF-8", "PATH": os.environ["PATH"], "HOME": "/root"}
    child, descriptor = pty.fork()
    if child == 0:
        os.chdir("/")
        os.execve("/bin/bash", ["bash", "--norc", "--noprofile", "--noediting"], environment)
    # struct winsize: rows, columns, and no pixels.
    import fcntl
    import struct
    import termios
    fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    recorder = Recorder(descriptor)
    recorder.read_until_prompt()
    for number, command in enumerate(COMMANDS):
        recorder.read_for(PAUSE if number else 0.5)
        recorder.type(command)
        os.write(descriptor, b"\n")
        # The echo of the line end comes first.
        recorder.read_for(2 * SHORTEST)
        recorder.read_until_prompt()
    recorder.read_for(SHORTEST)
    os.write(descriptor, b"exit\n")
    os.waitpid(child, 0)
    return recorder.frames


def svg(frames):
    """A film strip that moves by one frame at a time; without animation its last frame is in view."""
    width, line_height, size, margin = COLUMNS * 7.3 + 24, 17, 12, 14
    height = ROWS * line_height + 2 * margin
    start, total = frames[0][0], frames[-1][0] - frames[0][0] + END
    lines = {}
    for _, shown in frames:
        for line in shown:
            if line:
                lines.setdefault(line, f"l{len(lines)}")
    steps = "".join(
        f"{100 * (at - start) / total:.3f}%{{transform:translateX({-number * width:.1f}px)}}"
        for number, (at, _) in enumerate(frames)
    )
    last = -(len(frames) - 1) * width
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" width="{width:.0f}" height="{height}">',
        "<title>A first clone with Counterpart, recorded by docs/record.py</title>",
        f"<style>text{{font:{size}px ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace;fill:#d8dee9;"
        f"white-space:pre}}.c{{fill:#a3be8c}}@keyframes play{{{steps}"
        f"100%{{transform:translateX({last:.1f}px)}}}}"
        f"@media(prefers-reduced-motion:no-preference){{.film{{animation:play {total:.2f}s step-end infinite}}}}</style>",
        f'<rect width="100%" height="100%" rx="8" fill="#22272e"/><defs>',
    ]
    for line, name in lines.items():
        kind = ' class="c"' if line.startswith(PROMPT) else ""
        chars = f' textLength="{len(line) * 7.3:.1f}" lengthAdjust="spacingAndGlyphs"'
        parts.append(f'<text id="{name}"{kind}{chars} xml:space="preserve">{html.escape(line, quote=False)}</text>')
    parts.append(f'</defs><g class="film" transform="translate({last:.1f})">')
    for number, (_, shown) in enumerate(frames):
        uses = "".join(
            f'<use href="#{lines[line]}" y="{margin + size + row * line_height}"/>'
            for row, line in enumerate(shown)
            if line
        )
        parts.append(f'<g transform="translate({number * width + 12:.1f})">{uses}</g>')
    parts.append("</g></svg>\n")
    return "\n".join(parts)


def main():
    built = [PROJECT / "target" / kind / "counterpart" for kind in ("release", "debug")]
    program = next((path for path in built if path.exists()), None) or sys.exit("record: cargo build --release first")
    own_namespace()
    with tempfile.TemporaryDirectory(prefix="counterpart-record-") as work:
        work = Path(work)
        shutil.copy(program, work / "counterpart")
        os.environ["PATH"] = f"{work}:{os.environ['PATH']}"
        prepare(work)
        frames = record()
        run("umount", "/mnt/clone")
    OUTPUT.write_text(svg(frames))
    print(f"{OUTPUT}: {len(frames)} frames, {frames[-1][0]:.0f} s")


if __name__ == "__main__":
    main()
