"""Shows a directory as a filesystem that cannot hold owners: everything belongs to root, as on vfat.

Usage: ownerless.py BACKING MOUNT_POINT ignore|refuse (what happens to chown)
"""

import errno
import os
import sys
import time

try:
    import fusepy
except ImportError:  # the same module under the name it has outside of Debian
    import fuse as fusepy

UTIME_NOW = (1 << 30) - 1
UTIME_OMIT = (1 << 30) - 2


class Ownerless(fusepy.Operations):
    use_ns = True
    flag_utime_omit_ok = 1

    # Paths come as Latin-1, which holds any byte.

    def __init__(self, backing, refuse_chown):
        self.backing = os.fsencode(backing)
        self.refuse_chown = refuse_chown

    def __call__(self, operation, *arguments):
        try:
            return getattr(self, operation)(*arguments)
        except OSError as error:
            raise fusepy.FuseOSError(error.errno) from error

    def real(self, path):
        return self.backing + path.encode("latin-1")

    def getattr(self, path, fh=None):
        status = os.lstat(self.real(path)) if fh is None else os.fstat(fh)
        names = ("st_ino", "st_mode", "st_nlink", "st_size", "st_blocks", "st_rdev")
        attributes = {name: getattr(status, name) for name in names}
        for name in ("st_atime", "st_mtime", "st_ctime"):
            attributes[name] = getattr(status, name + "_ns")
        return attributes | {"st_uid": 0, "st_gid": 0}

    def chown(self, path, uid, gid):
        if self.refuse_chown:
            raise OSError(errno.EPERM, "no owners here")
        os.lstat(self.real(path))
        return 0

    def chmod(self, path, mode):
        os.chmod(self.real(path), mode & 0o7777)

    def utimens(self, path, times=None):
        real = self.real(path)
        status = os.lstat(real)
        before = (status.st_atime_ns, status.st_mtime_ns)
        if times is None:
            return os.utime(real, follow_symlinks=False)
        now = time.time_ns()
        chosen = [
            old if new == UTIME_OMIT else now if new == UTIME_NOW else new
            for old, new in zip(before, times)
        ]
        return os.utime(real, ns=tuple(chosen), follow_symlinks=False)

    def readdir(self, path, fh):
        return [".", ".."] + [name.decode("latin-1") for name in os.listdir(self.real(path))]

    def readlink(self, path):
        return os.readlink(self.real(path)).decode("latin-1")

    def symlink(self, link, target):
        os.symlink(target.encode("latin-1"), self.real(link))

    def link(self, new, old):
        os.link(self.real(old), self.real(new), follow_symlinks=False)

    def mknod(self, path, mode, dev):
        os.mknod(self.real(path), mode, dev)

    def mkdir(self, path, mode):
        os.mkdir(self.real(path), mode)

    def rmdir(self, path):
        os.rmdir(self.real(path))

    def unlink(self, path):
        os.unlink(self.real(path))

    def rename(self, old, new):
        os.rename(self.real(old), self.real(new))

    def create(self, path, mode, fi=None):
        return os.open(self.real(path), os.O_RDWR | os.O_CREAT | os.O_TRUNC, mode)

    def open(self, path, flags):
        return os.open(self.real(path), flags & ~os.O_APPEND)

    def read(self, path, size, offset, fh):
        return os.pread(fh, size, offset)

    def write(self, path, data, offset, fh):
        return os.pwrite(fh, data, offset)

    def truncate(self, path, length, fh=None):
        os.truncate(self.real(path) if fh is None else fh, length)

    def fsync(self, path, datasync, fh):
        os.fsync(fh)

    def release(self, path, fh):
        os.close(fh)

    def statfs(self, path):
        status = os.statvfs(self.real(path))
        names = ("f_bavail", "f_bfree", "f_blocks", "f_bsize", "f_favail", "f_ffree", "f_files", "f_frsize")
        return {name: getattr(status, name) for name in names} | {"f_namemax": status.f_namemax}

    def no_attributes(self, *arguments):
        raise OSError(errno.ENOTSUP, "no extended attributes here")

    getxattr = setxattr = listxattr = removexattr = no_attributes


def serve(filesystem, mount_point, name, **more):
    """Mounts a filesystem, and serves it until it is unmounted."""
    os.umask(0)
    fusepy.FUSE(
        filesystem,
        mount_point,
        encoding="latin-1",
        foreground=True,
        allow_other=True,
        default_permissions=True,
        use_ino=True,
        attr_timeout=0,
        entry_timeout=0,
        fsname=name,
        **more,
    )


def main():
    backing, mount_point, chown = sys.argv[1:]
    serve(Ownerless(backing, chown == "refuse"), mount_point, "ownerless", nothreads=True, hard_remove=True, dev=True, suid=True)


if __name__ == "__main__":
    main()
