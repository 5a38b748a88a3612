"""Shows a directory as a filesystem that cannot hold every name.

Usage: folding.py BACKING MOUNT_POINT WHAT, where WHAT is a list, with commas between, of
    case     two names that differ in case are one
    form     two names that differ in their Unicode form are one
    hfs      a name is stored in the decomposed form
    dos      a name with one of \\ : * ? " < > | is refused, and a dot at the end is dropped
    utf8     a name that is no UTF-8 is refused
    short    a name has at most 100 bytes
    links    there are no hard links
    symlinks there are no symbolic links
"""

import errno
import os
import sys
import unicodedata

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support/disk"))
import ownerless  # noqa: E402


class Folding(ownerless.Ownerless):
    def __init__(self, backing, what):
        super().__init__(backing, False)
        self.what = what

    # Here owners are kept.
    def chown(self, path, uid, gid):
        os.lchown(self.real(path), uid, gid)
        return 0

    def getattr(self, path, fh=None):
        status = os.lstat(self.real(path)) if fh is None else os.fstat(fh)
        return super().getattr(path, fh) | {"st_uid": status.st_uid, "st_gid": status.st_gid}

    def key(self, name):
        text = name.decode("utf-8", "surrogateescape")
        if "case" in self.what:
            text = text.casefold()
        if "form" in self.what or "hfs" in self.what:
            text = unicodedata.normalize("NFD", text)
        return text

    def stored(self, name):
        if "short" in self.what and len(name) > 100:
            raise OSError(errno.ENAMETOOLONG, "too long")
        text = name.decode("utf-8", "surrogateescape")
        if "utf8" in self.what and any("\udc80" <= character <= "\udcff" for character in text):
            raise OSError(errno.EILSEQ, "no UTF-8")
        if "dos" in self.what:
            if any(mark in text for mark in '\\:*?"<>|'):
                raise OSError(errno.EINVAL, "a mark of DOS")
            text = text.rstrip(".")
        if "hfs" in self.what:
            text = unicodedata.normalize("NFD", text)
        return text.encode("utf-8", "surrogateescape")

    def real(self, path):
        here = self.backing
        for name in path.encode("latin-1").split(b"/"):
            if not name:
                continue
            wanted = self.stored(name)
            if not os.path.lexists(here + b"/" + wanted):
                key = self.key(wanted)
                try:
                    there = [other for other in os.listdir(here) if self.key(other) == key]
                except OSError:
                    there = []
                wanted = there[0] if there else wanted
            here += b"/" + wanted
        return here

    def rename(self, old, new):
        old, new = self.real(old), self.real(new)
        os.rename(old, new)

    def symlink(self, link, target):
        if "symlinks" in self.what:
            raise OSError(errno.EPERM, "no symbolic links")
        super().symlink(link, target)

    def link(self, new, old):
        if "links" in self.what:
            raise OSError(errno.EPERM, "no hard links")
        super().link(new, old)


def main():
    backing, mount_point, what = sys.argv[1:]
    ownerless.serve(Folding(backing, what.split(",")), mount_point, "folding", nothreads=True, hard_remove=True, dev=True, suid=True)


if __name__ == "__main__":
    main()
