"""Facts of this host and this user, as the script tables record them. Nothing here fails: what is unknown is None."""

from __future__ import annotations

import os
import pwd
import re
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from pathlib import Path
from typing import Any

#: Seconds for a name server or lspci to answer.
PATIENCE = 3.0

CPU_VENDORS = {"GenuineIntel": "Intel", "AuthenticAMD": "AMD"}
GPU_VENDORS = {"nvidia": "nVidia", "advanced micro devices": "ATI", "matrox": "Matrox", "intel": "Intel"}


def readUser() -> dict[str, Any]:
    """Return name, uid, gid and fullname; of root only the name ``unknown``, as classic has it."""
    uid = os.getuid()
    if uid == 0:
        return {"name": "unknown"}
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        return {"name": os.environ.get("USER") or str(uid), "uid": uid, "gid": os.getgid()}
    return {"name": entry.pw_name, "uid": uid, "gid": entry.pw_gid, "fullname": entry.pw_gecos or None}


def readUserName() -> str:
    return readUser()["name"]


def readShell() -> str | None:
    """Return the name of the user's login shell; None for root."""
    if os.getuid() == 0:
        return None
    try:
        return os.path.basename(pwd.getpwuid(os.getuid()).pw_shell) or None
    except KeyError:
        return None


def readHost() -> dict[str, Any]:
    """Return name, ip, system, distro, arch, nproc, memory (whole GiB), cpu_vendor and gpu_vendor."""
    uname = os.uname()
    cpuinfo, meminfo = readText("/proc/cpuinfo"), readText("/proc/meminfo")
    memory = re.search(r"^MemTotal:\s+(\d+) kB", meminfo, re.MULTILINE)
    vendor = re.search(r"^vendor_id\s*:\s*(\S+)", cpuinfo, re.MULTILINE)
    return {"name": uname.nodename, "ip": readAddress(uname.nodename), "system": uname.sysname.lower(),
            "distro": readDistribution(), "arch": uname.machine,
            "nproc": len(re.findall(r"^processor\s*:", cpuinfo, re.MULTILINE)) or os.cpu_count(),
            "memory": int(memory[1]) // 1024 // 1024 if memory else None,
            "cpu_vendor": CPU_VENDORS.get(vendor[1]) if vendor else None, "gpu_vendor": readGPUVendor()}


def readText(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def readDistribution() -> str | None:
    for path in ("/etc/redhat-release", "/etc/issue"):
        lines = readText(path).strip().splitlines()
        if lines:
            return lines[0].strip()
    return None


def readAddress(name: str) -> str | None:
    """Return the host's name as the name server knows it, or None if it does not answer in time."""
    pool = ThreadPoolExecutor(max_workers=1)
    try:
        return pool.submit(socket.gethostbyaddr, name).result(timeout=PATIENCE)[0]
    except (OSError, FutureTimeout):
        return None
    finally:
        pool.shutdown(wait=False)


def readGPUVendor() -> str | None:
    try:
        found = subprocess.run(["lspci"], capture_output=True, text=True, timeout=PATIENCE, check=False).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    for line in found.lower().splitlines():
        if "vga compatible controller" in line:
            return next((vendor for word, vendor in GPU_VENDORS.items() if word in line), None)
    return None
