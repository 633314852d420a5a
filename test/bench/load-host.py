#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""load-host: what agent-load.sh does inside a test host that has the package installed.

usage: load-host setup | measure MINUTES | lose agent|deadman

Guards many domains that are no real ones: each is a small process with QEMU's command line form and the files that
libvirt keeps of it in /run/libvirt/qemu. Starts and ends go through the installed hook. libvirtd lists the domains with
its test driver, so that the agent has as much to compare with, every time, as on a host that really runs them; that
driver's "destroyed" ends no process, so what is measured at a loss is the worst case: SIGKILL after the budget for an
orderly end. Numbers go to stdout, one line each.
"""

import concurrent.futures
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
import uuid

DOMAINS = int(os.environ.get("LOAD_DOMAINS", "200"))
DISKS = int(os.environ.get("LOAD_DISKS", "5"))
# Coming and going beside the others, one every so many seconds.
GUESTS = 10
TRICKLE_SECONDS = 3
# What "idle" is measured over.
WINDOW_SECONDS = int(os.environ.get("LOAD_WINDOW", "60"))
# Longer than any pool of the agent keeps an idle thread.
SETTLE_SECONDS = int(os.environ.get("LOAD_SETTLE", "65"))

# From the start of a renewal to the deadline that it leaves for the deadman, with the default configuration:
# 8 io_timeout, destroy_timeout, one second.
DEADMAN_SECONDS = 86

BENCH = "/bench"
LEASES = "/leases"
FAULT = "/run/fault"
HOOK = "/etc/libvirt/hooks/qemu.d/50-vmguard"
SOCKET = "/run/vmguard/agent.sock"
LIBVIRT = "/run/libvirt/qemu"
QEMU = BENCH + "/qemu-system-x86_64"
PAUSES = "/run/vmguard/pauses.log"
NODE = BENCH + "/node.xml"
STUBS = BENCH + "/stubs"


def sh(*command, **more):
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120, **more).stdout


def fail(text):
    print("load-host: " + text, file=sys.stderr)
    sys.exit(1)


def await_(what, seconds, condition, pause=0.1):
    """Until it is true; returns the boot clock then."""
    end = now() + seconds
    while not condition():
        if now() > end:
            fail(f"not within {seconds} s: {what}")
        time.sleep(pause)
    return now()


def now():
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def load():
    with open("/proc/loadavg", encoding="ascii") as file:
        return file.read().split()[0]


def say(what, value):
    print(f"{what:<66}{value:>16}   load {load()}", flush=True)


class Domain:
    """A domain, its disks, and the process that stands for its QEMU."""

    def __init__(self, name):
        self.name = name
        self.uuid = str(uuid.uuid5(uuid.NAMESPACE_DNS, name))
        self.pid = 0
        self.stub = None

    def disks(self):
        return [f"{BENCH}/disks/{self.name}-{i}.raw" for i in range(DISKS)]

    def xml(self, kind="qemu", ident=""):
        disks = "".join(
            f"<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='{path}'/>"
            f"<target dev='vd{chr(97 + i)}' bus='virtio'/></disk>"
            for i, path in enumerate(self.disks())
        )
        return (
            f"<domain type='{kind}'{ident}><name>{self.name}</name><uuid>{self.uuid}</uuid>"
            "<memory unit='KiB'>65536</memory><vcpu>1</vcpu><os><type arch='x86_64'>hvm</type></os>"
            f"<devices>{disks}</devices></domain>"
        )

    def make_disks(self):
        for path in self.disks():
            with open(path, "wb") as file:
                file.truncate(1 << 20)

    def hook(self, operation, subop):
        return subprocess.run(
            [HOOK, self.name, operation, subop, "-"],
            input=self.xml(),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def start(self):
        answer = self.hook("prepare", "begin")
        if answer.returncode != 0:
            fail(f"{self.name} may not start: {answer.stderr.strip()}")
        # A shell that waits for a line that never comes, under QEMU's name and with its arguments.
        self.stub = subprocess.Popen(
            [QEMU, "-c", "read -r _", "-name", f"guest={self.name},debug-threads=on", "-S", "-machine", "pc"]
            + ["-m", "64", "-uuid", self.uuid, "-no-user-config", "-nodefaults"],
            stdin=STUB_INPUT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self.pid = self.stub.pid
        self.write("pid", f"{self.pid}\n")

    def write_status(self):
        domain = self.xml(ident=" id='1'")
        self.write("xml", f"<domstatus state='running' reason='booted' pid='{self.pid}'>{domain}</domstatus>")

    def write(self, suffix, text):
        path = f"{LIBVIRT}/{self.name}.{suffix}"
        with open(path + ".new", "w", encoding="ascii") as file:
            file.write(text)
        os.rename(path + ".new", path)

    def runs(self):
        if self.pid == 0:
            return False
        try:
            with open(f"/proc/{self.pid}/stat", encoding="utf-8") as file:
                return file.read().rpartition(")")[2].split()[0] not in "ZX"
        except OSError:
            return False

    def forget(self):
        for suffix in ("pid", "xml"):
            try:
                os.unlink(f"{LIBVIRT}/{self.name}.{suffix}")
            except FileNotFoundError:
                pass
        self.pid = 0
        if self.stub:
            self.stub.wait(10)

    def end(self):
        os.kill(self.pid, 9)
        await_(f"end of {self.name}", 10, lambda: not self.runs(), 0.01)
        self.forget()
        self.hook("release", "end")


STANDING = [Domain(f"load{i}") for i in range(DOMAINS)]
PASSING = [Domain(f"guest{i}") for i in range(GUESTS)]


def open_stub_input():
    path = BENCH + "/never"
    if not os.path.exists(path):
        os.mkfifo(path)
    return os.open(path, os.O_RDWR)


# ---- the agent and the deadman


def main_pid(service):
    return int(sh("systemctl", "show", "-p", "MainPID", "--value", service))


def cpu_seconds(pid, children=False):
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        fields = file.read().rpartition(")")[2].split()
    ticks = sum(int(field) for field in fields[11 : 15 if children else 13])
    return ticks / os.sysconf("SC_CLK_TCK")


def threads(pid):
    """CPU time and turns on a processor of each thread, by name."""
    seen = {}
    for task in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{task}/comm", encoding="utf-8") as file:
                name = file.read().strip()
            with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as file:
                run, _, turns = (int(field) for field in file.read().split())
        except OSError:
            continue
        before = seen.get(name, (0, 0))
        seen[name] = (before[0] + run / 1e9, before[1] + turns)
    return seen


def memory(pid):
    found = {}
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        for line in file:
            key, _, value = line.partition(":")
            if key in ("VmRSS", "VmHWM", "Threads"):
                found[key] = int(value.split()[0])
    return found


def say_memory(when):
    found = memory(main_pid("vmguard"))
    say(f"resident memory {when}, MiB (threads: {found['Threads']})", f"{found['VmRSS'] / 1024:.1f}")


def say_cpu(when, seconds, meanwhile=time.sleep):
    """CPU time of both over the next so many seconds, in percent of one core."""
    agent, deadman = main_pid("vmguard"), main_pid("vmguard-deadman")
    begin = now()
    before, deadman_before, by_thread = cpu_seconds(agent), cpu_seconds(deadman, True), threads(agent)
    meanwhile(seconds)
    took = now() - begin
    used, deadman_used = cpu_seconds(agent) - before, cpu_seconds(deadman, True) - deadman_before
    say(f"CPU of the agent {when}, % of one core over {took:.0f} s", f"{100 * used / took:.2f}")
    say(f"CPU of the deadman {when}, the same", f"{100 * deadman_used / took:.2f}")
    after = threads(agent)
    spent = {name: [a - b for a, b in zip(after[name], by_thread.get(name, (0, 0)))] for name in after}
    busiest = sorted(spent.items(), key=lambda item: -item[1][0])[:8]
    print("    of it: " + ", ".join(f"{n} {100 * s / took:.2f} ({t / took:.0f}/s)" for n, (s, t) in busiest), flush=True)


def status():
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(10)
        client.connect(SOCKET)
        client.sendall(b"GET /v1/status HTTP/1.0\r\nHost: vmguard\r\n\r\n")
        reply = b""
        while part := client.recv(1 << 16):
            reply += part
    return json.loads(reply.partition(b"\r\n\r\n")[2])


def is_ready():
    try:
        return status().get("ready") is True
    except (OSError, ValueError):
        return False


def held():
    leases = [lease for domain in status()["domains"] for lease in domain["leases"]]
    return sum(1 for lease in leases if lease["held"])


class Renewals:
    """What the deadman's file says: its deadline moves at each renewal by what lies between their starts."""

    def __init__(self):
        self.path = deadman_file()
        self.deadline = self.read()
        self.gaps = []
        threading.Thread(target=self.follow, daemon=True).start()

    def follow(self):
        while True:
            time.sleep(1)
            self.look()

    def read(self):
        with open(self.path, encoding="ascii") as file:
            file.readline()
            return int(file.readline().split()[1]) / 100

    def look(self):
        deadline = self.read()
        if deadline != self.deadline:
            self.gaps.append(deadline - self.deadline)
            self.deadline = deadline


def pauses():
    """Longest stop of all threads by its reason, and how many there were: milliseconds."""
    found = {}
    pattern = re.compile(r'Safepoint "([^"]*)".*Total: +([0-9]+) ns')
    for name in sorted(os.listdir("/run/vmguard")):
        if name.startswith(os.path.basename(PAUSES)):
            with open("/run/vmguard/" + name, encoding="utf-8") as file:
                for match in map(pattern.search, file):
                    if match:
                        found.setdefault(match[1], []).append(int(match[2]) / 1e6)
    return found


# ---- commands


def write_node(domains):
    with open(NODE, "w", encoding="ascii") as file:
        file.write("<node>" + "".join(domain.xml("test") for domain in domains) + "</node>")


def setup():
    """Before the package is installed."""
    os.chmod(BENCH, 0o755)
    for directory in ("/disks", "/leases"):
        os.makedirs(BENCH + directory, exist_ok=True)
    os.chmod(BENCH + "/leases", 0o700)
    os.makedirs(LEASES, exist_ok=True)
    os.makedirs(LIBVIRT, exist_ok=True)
    shutil.copy("/bin/dash", QEMU)
    for domain in STANDING + PASSING:
        domain.make_disks()
    write_node([])
    sh("mount", "--make-rshared", "/")
    sh("stall-dir", BENCH + "/leases", LEASES, FAULT)
    os.makedirs("/etc/vmguard", exist_ok=True)
    with open("/etc/vmguard/vmguard.yaml", "w", encoding="ascii") as file:
        # One lease for each disk and one for the domain.
        file.write(f"lease_dir: {LEASES}\nlibvirt_uri: test+unix://{NODE}\ncompat: none\n")
    os.makedirs("/etc/systemd/system/vmguard.service.d", exist_ok=True)
    log = f"-Xlog:gc*,safepoint:file={PAUSES}:uptime:filecount=4,filesize=16m"
    more = os.environ.get("LOAD_JAVA_OPTS", "")
    with open("/etc/systemd/system/vmguard.service.d/load.conf", "w", encoding="ascii") as file:
        file.write(f'[Service]\nEnvironment="VMGUARD_JAVA_OPTS={log} {more}"\n')
    sh("systemctl", "daemon-reload")


def list_domains(domains):
    """Makes libvirtd list these; not while there are status files, which it would take for its own when it starts."""
    write_node(domains)
    sh("systemctl", "restart", "libvirtd")
    sh("virsh", "-c", f"test+unix://{NODE}", "list", "--all")


def start_all():
    begin = now()
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(Domain.start, STANDING))
    took = now() - begin
    with open(STUBS, "w", encoding="ascii") as file:
        json.dump({domain.name: domain.pid for domain in STANDING}, file)
    return took


def begin_guarding():
    """All domains run, are listed by libvirt and by the deadman."""
    took = start_all()
    list_domains(STANDING)
    for domain in STANDING:
        domain.write_status()
    want = DOMAINS * (DISKS + 1)
    await_("leases held", 60, lambda: held() == want, 0.5)
    await_("the deadman's list", 60, lambda: deadman_lists() >= DOMAINS, 0.5)
    return took


def deadman_file():
    return "/run/vmguard/" + next(name for name in os.listdir("/run/vmguard") if name.endswith(".deadman"))


def deadman_lists():
    with open(deadman_file(), encoding="utf-8") as file:
        return sum(1 for line in file if line.startswith("process "))


def trickle(seconds):
    """Domains come and go, one change every few seconds."""
    end = now() + seconds
    changes = 0
    while now() < end:
        domain = PASSING[changes // 2 % GUESTS]
        if domain.runs():
            domain.end()
        else:
            domain.start()
            domain.write_status()
        changes += 1
        time.sleep(TRICKLE_SECONDS)
    say("starts and ends meanwhile", changes)


def measure(minutes):
    await_("member", 90, is_ready)
    time.sleep(SETTLE_SECONDS)
    renewals = Renewals()
    say_memory("idle after joining")
    say_cpu("idle, no domains", WINDOW_SECONDS)
    took = begin_guarding()
    say(f"{DOMAINS} starts through the hook, 4 at a time: seconds", f"{took:.1f}")
    say("leases held", held())
    say_memory(f"with {DOMAINS} domains")
    time.sleep(SETTLE_SECONDS)
    say_memory(f"with {DOMAINS} domains, {SETTLE_SECONDS} s later")
    say_cpu(f"with {DOMAINS} domains, nothing changes", WINDOW_SECONDS)
    say_cpu(f"with {DOMAINS} domains and the trickle", minutes * 60, trickle)
    say_memory("at the end")
    found = memory(main_pid("vmguard"))
    say("largest resident memory at any time, MiB", f"{found['VmHWM'] / 1024:.1f}")
    longest = max(renewals.gaps, default=0)
    say("renewals seen; longest between the starts of two, s", f"{len(renewals.gaps)}; {longest:.2f}")
    for reason, all_ in sorted(pauses().items(), key=lambda item: -max(item[1])):
        say(f"stop of all threads for {reason}: times; longest, ms", f"{len(all_)}; {max(all_):.2f}")
    for domain in PASSING:
        if domain.runs():
            domain.end()


def lose(by):
    """All domains run (from measure, or started here): from the loss to the last of them gone."""
    await_("member", 180, is_ready)
    try:
        with open(STUBS, encoding="ascii") as file:
            for name, pid in json.load(file).items():
                next(domain for domain in STANDING if domain.name == name).pid = pid
    except FileNotFoundError:
        pass
    if not all(domain.runs() for domain in STANDING):
        begin_guarding()
    renewals = Renewals()
    begin = now()
    if by == "agent":
        with open(FAULT, "w", encoding="ascii") as file:
            file.write("stall\n")
    else:
        sh("systemctl", "mask", "--runtime", "vmguard")
        sh("systemctl", "kill", "-s", "KILL", "vmguard")
    renewed = 0
    first = 0
    end = begin + 200
    while left := sum(1 for domain in STANDING if domain.runs()):
        if now() > end:
            fail(f"{left} of {DOMAINS} domains still run 200 s after the loss")
        if left < DOMAINS:
            first = first or now()
            time.sleep(0.005)
        else:
            renewed = renewals.read() - DEADMAN_SECONDS
            time.sleep(0.02)
    last = now()
    what = "storage stalls" if by == "agent" else "agent killed, no other comes"
    say(f"{what}, by the {by}: from the last renewal to all {DOMAINS} gone, s", f"{last - renewed:.2f}")
    say("    from the fault to that, s", f"{last - begin:.2f}")
    say("    from the first to the last of them, s", f"{last - first:.2f}")
    for domain in STANDING:
        domain.forget()
    os.unlink(STUBS)
    write_node([])
    if by == "agent":
        sh("systemctl", "restart", "libvirtd")
        with open(FAULT, "w", encoding="ascii") as file:
            file.write("ok\n")


if __name__ == "__main__":
    STUB_INPUT = open_stub_input()
    match sys.argv[1:]:
        case ["setup"]:
            setup()
        case ["measure", minutes]:
            measure(float(minutes))
        case ["lose", by]:
            lose(by)
        case _:
            sys.exit(__doc__)
