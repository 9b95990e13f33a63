#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# probe.py - does this machine have the thing that a skipped test says is missing?
#
# Asked of the system itself, not of Ferry.  `probe.py` alone prints what is here; `probe.py THING [DETAIL]` exits 0
# when the thing is here.  A thing unknown to this table counts as here: a skip that nobody can check is no skip.
import ctypes
import fcntl
import mmap
import os
import shutil
import socket
import struct
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SYS_USERFAULTFD = {"x86_64": 323, "aarch64": 282}
UFFD_USER_MODE_ONLY = 1
UFFDIO_API, USERFAULTFD_IOC_NEW = 0xC018AA3F, 0xAA00
UFFD_FEATURE_PAGEFAULT_FLAG_WP, UFFD_FEATURE_POISON, UFFD_FEATURE_WP_ASYNC = 1 << 0, 1 << 14, 1 << 15
PAGEMAP_SCAN = 0xC0606610
KVM_GET_API_VERSION, KVM_CREATE_VM = 0xAE00, 0xAE01
MAP_HUGETLB = 0x40000


def quiet(*argv):
    try:
        return subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=30).returncode == 0
    except OSError:
        return False


def uffd_features(mode=UFFD_USER_MODE_ONLY):
    libc = ctypes.CDLL(None, use_errno=True)
    fd = libc.syscall(SYS_USERFAULTFD[os.uname().machine], os.O_CLOEXEC | mode)
    if fd < 0:
        device = os.open("/dev/userfaultfd", os.O_RDWR | os.O_CLOEXEC)
        fd = fcntl.ioctl(device, USERFAULTFD_IOC_NEW, os.O_CLOEXEC)
        os.close(device)
    answer = fcntl.ioctl(fd, UFFDIO_API, struct.pack("QQQ", 0xAA, 0, 0))
    os.close(fd)
    return struct.unpack("QQQ", answer)[1]


def userfaultfd(_):
    return bool(uffd_features() & UFFD_FEATURE_PAGEFAULT_FLAG_WP)


def userfaultfd_kernel(_):
    return uffd_features(0) != 0


def uffd_poison(_):
    return bool(uffd_features(0) & UFFD_FEATURE_POISON)


def wp_async(_):
    if not uffd_features() & UFFD_FEATURE_WP_ASYNC:
        return False
    # struct pm_scan_arg: size, flags, start, end, walk_end, vec, vec_len, max_pages, and four masks
    empty_scan = struct.pack("12Q", 96, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1)
    with open("/proc/self/pagemap", "rb") as pagemap:
        fcntl.ioctl(pagemap, PAGEMAP_SCAN, empty_scan)
    return True


def kvm(_):
    fd = os.open("/dev/kvm", os.O_RDWR | os.O_CLOEXEC)
    version = fcntl.ioctl(fd, KVM_GET_API_VERSION, 0)
    vm = fcntl.ioctl(fd, KVM_CREATE_VM, 0)
    os.close(vm)
    os.close(fd)
    return version == 12


def qemu(_):
    return quiet("qemu-system-x86_64", "--version")


def qemu_mapped_ram(_):
    binary = os.environ.get("FERRY_QEMU", "qemu-system-x86_64")
    answer = subprocess.run([binary, "-machine", "none", "-nodefaults", "-display", "none", "-qmp", "stdio"], text=True, timeout=30,
                            capture_output=True, input='{"execute": "qmp_capabilities"}\n'
                            '{"execute": "query-migrate-capabilities"}\n{"execute": "quit"}\n')
    return '"mapped-ram"' in answer.stdout


def netns(_):
    return bool(shutil.which("ip")) and (quiet("unshare", "-n", "true") or quiet("unshare", "-rn", "true"))


def vsock(_):
    with socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM) as listener:
        listener.bind((1, 0xFFFFFFFF))  # VMADDR_CID_LOCAL, VMADDR_PORT_ANY
        listener.listen(1)
        with socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM) as client:
            client.settimeout(5)
            client.connect((1, listener.getsockname()[1]))
    return True


def ipv6(_):
    with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as listener:
        listener.bind(("::1", 0))
    return True


def hugepages(_):
    with mmap.mmap(-1, 2 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | MAP_HUGETLB):
        return True


def thp(_):
    with open("/sys/kernel/mm/transparent_hugepage/enabled") as f:
        return "[never]" not in f.read()


def root(_):
    return os.geteuid() == 0


def tools(detail):
    return bool(detail) and bool(shutil.which(detail.split()[0]))


def file(detail):
    return bool(detail) and os.path.exists(os.path.join(ROOT, detail.split()[0]))


def cpu(detail):
    with open("/proc/cpuinfo") as f:
        return bool(detail) and detail.split()[0] in f.read().split()


THINGS = {
    "userfaultfd": userfaultfd, "userfaultfd-kernel": userfaultfd_kernel, "uffd-poison": uffd_poison,
    "wp-async": wp_async, "kvm": kvm, "qemu": qemu, "qemu-mapped-ram": qemu_mapped_ram,
    "netns": netns, "vsock": vsock, "ipv6": ipv6, "hugepages": hugepages, "thp": thp, "root": root, "tools": tools,
    "file": file, "cpu": cpu,
}


def present(thing, detail=""):
    if thing not in THINGS:
        return True
    try:
        return THINGS[thing](detail)
    except (OSError, KeyError, AttributeError):
        return False


if __name__ == "__main__":
    if len(sys.argv) > 1:
        sys.exit(0 if present(sys.argv[1], " ".join(sys.argv[2:])) else 1)
    for name in THINGS:
        if name not in ("tools", "file", "cpu"):
            print(f"{name:12} {'yes' if present(name) else 'no'}")
