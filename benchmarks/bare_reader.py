"""What a round costs at the least: the same files and counters read from C, nothing made of them.

The C program keeps every descriptor, evicts the caches at each line on its standard input, then
reads everything once and answers with the nanoseconds of processor and of wall time.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

EVICTED_BYTES = 64 * 2**20
"""Twice the last-level cache of common machines."""

_SOURCE = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static char buffer[65536];

static void die(const char *what) { perror(what); exit(1); }

static long long nanoseconds(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static int dump_links(int socket_fd, unsigned sequence) {
    struct { struct nlmsghdr header; struct if_stats_msg body; } request = {
        .header = {.nlmsg_len = sizeof request, .nlmsg_type = RTM_GETSTATS,
                   .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP, .nlmsg_seq = sequence},
        .body = {.filter_mask = IFLA_STATS_FILTER_BIT(IFLA_STATS_LINK_64)},
    };
    int count = 0;
    if (send(socket_fd, &request, sizeof request, 0) < 0) die("send");
    for (;;) {
        int left = recv(socket_fd, buffer, sizeof buffer, 0);
        if (left < 0) die("recv");
        struct nlmsghdr *message = (struct nlmsghdr *)buffer;
        for (; NLMSG_OK(message, left); message = NLMSG_NEXT(message, left)) {
            if (message->nlmsg_type == NLMSG_DONE) return count;
            if (message->nlmsg_type == NLMSG_ERROR) die("netlink error");
            count++;
        }
    }
}

int main(int argc, char **argv) {
    size_t evicted = strtoull(argv[2], NULL, 10);
    char *evict = malloc(evicted), line[4096];
    int count = 0, room = 1024, *files = malloc(room * sizeof *files);
    FILE *list = fopen(argv[1], "r");
    if (!list || !evict) die("start");
    while (fgets(line, sizeof line, list)) {
        line[strcspn(line, "\n")] = 0;
        if (count == room) files = realloc(files, (room *= 2) * sizeof *files);
        if ((files[count++] = open(line, O_RDONLY | O_CLOEXEC)) < 0) die(line);
    }
    int route = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
    if (route < 0) die("socket");
    for (unsigned round = 1; fgets(line, sizeof line, stdin); round++) {
        memset(evict, round, evicted);
        long long cpu = nanoseconds(CLOCK_PROCESS_CPUTIME_ID), wall = nanoseconds(CLOCK_MONOTONIC);
        for (int i = 0; i < count; i++)
            if (pread(files[i], buffer, 4096, 0) < 0) die("pread");
        int links = dump_links(route, round);
        cpu = nanoseconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
        wall = nanoseconds(CLOCK_MONOTONIC) - wall;
        printf("%lld %lld %d\n", cpu, wall, links);
        fflush(stdout);
    }
    return 0;
}
"""


class BareReader:
    """The compiled reader of one list of files, running and waiting to be asked."""

    def __init__(self, folder: Path, files: list[str]) -> None:
        """Compile it with gcc in `folder` and start it. Raises what the compiler says."""
        source, program, listing = folder / "bare.c", folder / "bare", folder / "files"
        source.write_text(_SOURCE)
        listing.write_text("".join(f"{file}\n" for file in files))
        subprocess.run(["gcc", "-O2", "-o", program, source], check=True)
        self._process = subprocess.Popen(
            [program, listing, str(EVICTED_BYTES)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def read(self) -> tuple[float, float, int]:
        """Read all once, caches cold: seconds of processor time, of wall time, and interfaces."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        cpu, wall, links = self._process.stdout.readline().split()
        return int(cpu) / 1e9, int(wall) / 1e9, int(links)

    def close(self) -> None:
        """End it."""
        self._process.communicate()
