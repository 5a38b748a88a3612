"""Shows a directory as a filesystem on which files of one name cannot be opened, as macOS protects some: EPERM, even for root.

Usage: denying.py BACKING MOUNT_POINT NAME
"""

import errno
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support/disk"))
import ownerless  # noqa: E402


class Denying(ownerless.Ownerless):
    def __init__(self, backing, name):
        super().__init__(backing, False)
        self.name = name

    def open(self, path, flags):
        if path.endswith("/" + self.name):
            raise OSError(errno.EPERM, "protected")
        return super().open(path, flags)


def main():
    backing, mount_point, name = sys.argv[1:]
    ownerless.serve(Denying(backing, name), mount_point, "denying", nothreads=True)


if __name__ == "__main__":
    main()
