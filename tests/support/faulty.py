"""Shows a directory as a filesystem whose faults are told while it is mounted.

Usage: faulty.py BACKING MOUNT_POINT CONTROL. Each line of the file CONTROL is one of
    fail /path    reading this file, or with "*" any file, fails with EIO
    hang /path    reading this file blocks for as long as the line is there
    slow /path    each read of this file takes a twentieth of a second
    list /path    listing this directory fails with EIO
    owners *      owners are kept, which is no fault
    stat /path    asking for the properties of this entry fails with EIO
    gone /path    asking for this entry's attributes removes it, and fails with ENOENT
    trunc /path   reading this file past its first kilobytes truncates it once, as logrotate does
A directory is named with a slash at its end; then its list of names is what fails or blocks,
and from then on the file CONTROL.hangs is there.
"""

import errno
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support/disk"))
import ownerless  # noqa: E402


class Faulty(ownerless.Ownerless):
    def __init__(self, backing, control):
        super().__init__(backing, False)
        self.control = control

    def is_told(self, fault, path):
        try:
            with open(self.control, encoding="latin-1") as control:
                lines = control.read().splitlines()
        except FileNotFoundError:
            return False
        return f"{fault} {path}" in lines or not path.endswith("/") and f"{fault} *" in lines

    def readdir(self, path, fh):
        while self.is_told("hang", path + "/"):
            open(self.control + ".hangs", "w").close()
            time.sleep(0.05)
        if self.is_told("fail", path + "/") or self.is_told("list", path):
            raise OSError(errno.EIO, "told to fail")
        return super().readdir(path, fh)

    def getattr(self, path, fh=None):
        if self.is_told("stat", path):
            raise OSError(errno.EIO, "told to fail")
        attributes = super().getattr(path, fh)
        if self.is_told("owners", path):
            status = os.lstat(self.real(path)) if fh is None else os.fstat(fh)
            attributes |= {"st_uid": status.st_uid, "st_gid": status.st_gid}
        return attributes

    def chown(self, path, uid, gid):
        if self.is_told("owners", path):
            os.chown(self.real(path), uid, gid, follow_symlinks=False)
            return 0
        return super().chown(path, uid, gid)

    def attributes(self, path):
        if self.is_told("gone", path):
            if os.path.lexists(self.real(path)):
                os.unlink(self.real(path))
            raise OSError(errno.ENOENT, "gone")

    def getxattr(self, path, name, position=0):
        self.attributes(path)
        return super().getxattr(path, name, position)

    def listxattr(self, path):
        self.attributes(path)
        return super().listxattr(path)

    def read(self, path, size, offset, fh):
        if offset > 0 and self.is_told("trunc", path) and not os.path.exists(self.control + ".truncated"):
            open(self.control + ".truncated", "w").close()
            os.truncate(self.real(path), 0)
        while self.is_told("hang", path):
            time.sleep(0.05)
        if self.is_told("slow", path):
            time.sleep(0.05)
        if self.is_told("fail", path):
            raise OSError(errno.EIO, "told to fail")
        return super().read(path, size, offset, fh)


def main():
    backing, mount_point, control = sys.argv[1:]
    ownerless.serve(Faulty(backing, control), mount_point, "faulty", hard_remove=True, direct_io=True)


if __name__ == "__main__":
    main()
