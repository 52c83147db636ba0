# SPDX-License-Identifier: GPL-2.0-only
"""Machines, their options, and the QEMU command."""

import argparse
import tempfile
import time
import unittest
from pathlib import Path

from lab import boot, kunit, machines, paths, qemu, stress, wish
from lab.errors import Exit, LabError


class Machines(unittest.TestCase):
    def test_default_wish_lies_in_ram_and_not_under_the_initrd(self):
        for machine in machines.MACHINES.values():
            for megabytes in (*machine.memory_range, machine.memory):
                area, = wish.parse(machine.wish).areas.values()
                size = machines.ram_bytes(megabytes)
                self.assertGreaterEqual(area.start, machine.ram)
                self.assertLess(area.last, machine.ram + size)
                initrd = machine.ram + min(size // 2, 128 << 20)
                self.assertFalse(area.contains(initrd), megabytes)

    def test_work_is_enough(self):
        for machine in machines.MACHINES.values():
            numbers = [int(part) for part in machine.work.split(":")
                       if part.isdigit()]
            self.assertGreaterEqual(max(numbers), machines.MIN_TRANSFERS)

    def test_memory(self):
        zynq = machines.find("zynq")
        for text, expected in ((None, 512), ("768M", 768), ("768", 768),
                               ("1G", 1024), ("512m", 512)):
            self.assertEqual(machines.memory(zynq, text), expected)
        for text in ("", "M", "1T", "-1", "64K", "32M", "3G", "x", "\u0661"):
            with self.assertRaises(LabError, msg=text) as caught:
                machines.memory(zynq, text)
            self.assertEqual(caught.exception.exit, Exit.USAGE)

    def test_about_64_mib_are_written_however_much_there_is(self):
        for machine in machines.MACHINES.values():
            for megabytes in (*machine.memory_range, machine.memory):
                share = machines.fill_share(megabytes)
                self.assertIn(share, range(1, 17))
                if share < 16:
                    self.assertLessEqual(megabytes / share, 64)

    def test_unknown_machine_names_those_there_are(self):
        with self.assertRaises(LabError) as caught:
            machines.find("pc")
        self.assertIn("zynq", caught.exception.message)


class Command(unittest.TestCase):
    def command(self, name, **kwargs):
        return qemu.command(qemu.Boot(
            machines.find(name), Path("/run,1"), Path("/zImage"), "cma=8M",
            256, Path("/dtb"), Path("/initrd"), **kwargs))

    def test_console_is_the_second_port_of_zynq(self):
        words = self.command("zynq")
        self.assertEqual([words[i + 1] for i, word in enumerate(words)
                          if word == "-serial"], ["null", "stdio"])

    def test_never_a_reboot_loop(self):
        for name in machines.MACHINES:
            self.assertIn("-no-reboot", self.command(name))

    def test_comma_in_a_path_is_doubled(self):
        self.assertTrue(any("/run,,1/disk.img" in word
                            for word in self.command("virt")))

    def test_parameters_are_one_argument(self):
        words = self.command("virt")
        self.assertEqual(words[words.index("-append") + 1], "cma=8M")


class Rebinds(unittest.TestCase):
    def test_word_names_driver_device_and_rounds(self):
        self.assertEqual(machines.find("virt").rebind(7),
                         "guest.rebind=pci/nvme/0000:00:02.0:7")

    def test_guest_knows_the_word(self):
        source = (paths.REPO / "scripts" / "guest" / "init.c").read_text()
        self.assertIn('"guest.rebind="', source)

    def test_rounds(self):
        self.assertEqual(boot.rounds("1000"), 1000)
        for text in ("0", "1", "-5", "x", "", "1.5", "1000000"):
            with self.assertRaises(argparse.ArgumentTypeError, msg=text):
                boot.rounds(text)

    def test_give_up_limit_grows_with_the_work(self):
        self.assertEqual(boot.limit("default"), boot.TIMEOUT)
        self.assertGreaterEqual(boot.limit("default", 1000),
                                boot.TIMEOUT + 400)
        for config in ("debug", "kasan"):
            self.assertGreater(boot.limit(config), 4 * boot.TIMEOUT)
            self.assertGreater(boot.limit(config, 1000),
                               4 * boot.limit("default", 1000))
            self.assertGreater(kunit.limit(config), 4 * kunit.TIMEOUT)

    def test_stress_has_both_machines_with_both_areas(self):
        names = [check.name for check in stress.REBINDS]
        self.assertEqual(len(names), len(set(names)))
        for machine in machines.DEFAULT:
            for mapped in (True, False):
                self.assertIn(stress.Rebind(machine, mapped), stress.REBINDS)

    def test_stress_never_asks_for_less_than_two_rounds(self):
        self.assertEqual(stress.rounds("zynq", 1000), 1000)
        self.assertEqual(stress.rounds("virt", 1000), 100)
        self.assertEqual(stress.rounds("virt", 2), 2)


# Nothing below takes a second; only a watcher that is broken takes this long.
LIMIT = 60.0


class Silent(unittest.TestCase):
    """A guest that says nothing any more is given up."""

    def watch(self, program, **limits):
        with tempfile.TemporaryDirectory() as folder:
            console = qemu.Console(Path(folder) / "console.log")
            boot = qemu.Boot(machines.find("zynq"), Path(folder), Path("k"),
                             "", 512, Path("d"), **limits)
            begin = time.monotonic()
            qemu._watch(["sh", "-c", program], boot, console, None, LIMIT)
            self.assertLess(time.monotonic() - begin, LIMIT)
            return console

    def test_one_that_waits(self):
        console = self.watch("echo x; exec sleep 500", silence=0.2)
        self.assertTrue(console.timed_out)

    def test_one_that_spins(self):
        console = self.watch("echo x; while :; do :; done", spin=0.1)
        self.assertTrue(console.timed_out)

    def test_one_that_ends(self):
        console = self.watch("echo x", silence=500.0, spin=500.0)
        self.assertFalse(console.timed_out)
        self.assertEqual(console.status, 0)


class Options(unittest.TestCase):
    def test_cmdline(self):
        self.assertEqual(boot.check_cmdline(" cma=8M "), "cma=8M")
        for text in ("a\nb", "cma=\u00e9", "a -- b", "guest.dump"):
            with self.assertRaises(LabError, msg=text):
                boot.check_cmdline(text)


if __name__ == "__main__":
    unittest.main()
