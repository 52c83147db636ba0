# SPDX-License-Identifier: GPL-2.0-only
"""The splat scan: what counts, what does not."""

import unittest

from lab import splats

BAD = (
    "------------[ cut here ]------------",
    "WARNING: kernel/dma/debug.c:1000 at check_unmap+0x1/0x2, CPU#0: x/1",
    "BUG: spinlock bad magic on CPU#0, swapper/1",
    "kernel BUG at mm/cma.c:100!",
    "Internal error: Oops - BUG: 0 [#1] SMP ARM",
    "Unable to handle kernel NULL pointer dereference at virtual address 0",
    "8<--- cut here --- Unhandled fault: page domain fault (0x81b)",
    "Kernel panic - not syncing: Attempted to kill init!",
    "WARNING: possible recursive locking detected",
    "WARNING: inconsistent lock state",
    "BUG: sleeping function called from invalid context at mm/cma.c:1",
    "INFO: task kworker/0:1:12 blocked for more than 30 seconds.",
    "rcu: INFO: rcu_sched self-detected stall on CPU",
    "watchdog: BUG: soft lockup - CPU#0 stuck for 22s!",
    "BUG: Bad page state in process init  pfn:02000",
    "init: page allocation failure: order:3, mode:0xcc0",
    "BUG: KASAN: slab-out-of-bounds in x",
    "UBSAN: array-index-out-of-bounds in x",
    "refcount_t: underflow; use-after-free.",
    "DMA-API: f8003000.dma-controller: device driver frees DMA memory with "
    "wrong function",
    "DMA-API: debugging out of memory - disabling",
    "Call trace: ",
    "Division by zero in kernel.",
)
GOOD = (
    "DMA-API: preallocated 65536 debug entries",
    "DMA-API: debugging enabled by kernel config",
    "cma: dev: 0x02000000-0x027fffff refused: not wholly system RAM",
    "Registering SWP/SWPB emulation handler",
    "guest: dump: WARNING: this is a report, not the kernel",
    "CPU: Testing write buffer coherency: ok",
    "nvme nvme0: Ignoring bogus Namespace Identifiers",
    "debugfs: blocked for more than fun",
)


class Scan(unittest.TestCase):
    def test_each_kind_is_found(self):
        for text in BAD:
            for line in (text, f"[    1.234567] {text}"):
                self.assertEqual(len(splats.scan([line])), 1, line)

    def test_harmless_lines_are_not(self):
        for text in GOOD:
            self.assertEqual(splats.scan([f"[    1.234567] {text}"]), [],
                             text)

    def test_line_number_and_kind(self):
        found, = splats.scan(["fine", "[ 1.0] Kernel panic - not syncing: x"])
        self.assertEqual((found.line, found.kind), (2, "panic"))

    def test_declared_ones_are_left_out_and_only_those(self):
        lines = [BAD[1], BAD[7]]
        found, = splats.scan(lines, [r"check_unmap"])
        self.assertEqual(found.kind, "panic")


if __name__ == "__main__":
    unittest.main()
