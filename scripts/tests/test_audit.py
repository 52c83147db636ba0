# SPDX-License-Identifier: GPL-2.0-only
"""The audit of device trees: the reader, the rule, drivers, conclusions."""

import shutil
import struct
import subprocess
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from lab import (audit, audit_conclusions, audit_document, audit_drivers,
                 audit_nodes, fdt)
from lab.audit_conclusions import Conclusions, Device
from lab.audit_drivers import Drivers
from lab.audit_nodes import Kind, Use, Verdict
from lab.errors import Exit, LabError


def blob(tree):
    """A device tree blob of nested dictionaries; numbers become cells."""
    names = bytearray()
    structure = bytearray()

    def value(data):
        if data is None:
            return b""
        if isinstance(data, int):
            data = (data,)
        if isinstance(data, tuple):
            return struct.pack(f">{len(data)}I", *data)
        return data.encode() + b"\0"

    def node(name, content):
        structure.extend(struct.pack(">I", fdt.BEGIN_NODE))
        structure.extend(name.encode() + b"\0")
        structure.extend(bytes(-len(structure) % 4))
        for key, data in content.items():
            if not isinstance(data, dict):
                raw = value(data)
                structure.extend(struct.pack(">3I", fdt.PROPERTY, len(raw),
                                             len(names)))
                structure.extend(raw + bytes(-len(raw) % 4))
                names.extend(key.encode() + b"\0")
        structure.extend(struct.pack(">I", fdt.NOTHING))
        for key, data in content.items():
            if isinstance(data, dict):
                node(key, data)
        structure.extend(struct.pack(">I", fdt.END_NODE))

    node("", tree)
    structure.extend(struct.pack(">I", fdt.END))
    first = fdt.HEADER.size
    return struct.pack(
        ">10I", fdt.MAGIC, first + len(structure) + len(names), first,
        first + len(structure), first, 17, 16, 0, len(names),
        len(structure)) + structure + names


POOL = {"phandle": 1, "compatible": "shared-dma-pool", "reusable": None,
        "reg": (0x2000000, 0x800000)}
OTHER = {"phandle": 2, "compatible": "shared-dma-pool", "no-map": None,
         "reg": (0x3000000, 0x100000)}


def board(device, pool=POOL, other=OTHER, bus=None, reserved=None):
    return blob({"reserved-memory": {
        "#address-cells": 1, "#size-cells": 1, "ranges": None,
        **(reserved or {}), "cma@2000000": pool, "other@3000000": other},
        "iommu": {"phandle": 3, "#iommu-cells": 0},
        "soc": {"compatible": "simple-bus", **(bus or {}),
                "vpu@0": {"compatible": "acme,vpu\0acme,any", **device}}})


def use(device=None, **kwargs):
    found, = audit_nodes.uses(board({"memory-region": 1, **(device or {})},
                                    **kwargs))
    return found


class Fdt(unittest.TestCase):
    def test_nodes_and_properties(self):
        root = fdt.parse(board({"memory-region": (1, 2)}))
        vpu = root.children[2].children[0]
        self.assertEqual(vpu.path, "/soc/vpu@0")
        self.assertEqual(vpu.strings("compatible"), ("acme,vpu", "acme,any"))
        self.assertEqual(vpu.cells("memory-region"), (1, 2))
        self.assertEqual(root.path, "/")
        self.assertEqual(fdt.phandles(root)[1].path,
                         "/reserved-memory/cma@2000000")

    def test_what_is_no_blob(self):
        good = board({})
        for data, words in (
                (b"", "0 bytes"), (b"x" * 60, "0x78787878"),
                (good[:-8], "its header says"),
                (good[:20] + struct.pack(">2I", 3, 2) + good[28:],
                 "version 3"),
                (good[:44].replace(struct.pack(">I", fdt.BEGIN_NODE),
                                   struct.pack(">I", 7)) + good[44:],
                 "unexpected token 7")):
            with self.subTest(words), \
                    self.assertRaisesRegex(fdt.FdtError, words):
                fdt.parse(data)

    def test_every_cut_is_an_error_and_nothing_else(self):
        good = board({"memory-region": 1})
        for length in range(0, len(good), 3):
            data = bytearray(good[:length])
            if length >= 8:
                data[4:8] = struct.pack(">I", length)
            with self.assertRaises(fdt.FdtError):
                fdt.parse(bytes(data))

    def test_property_of_odd_length(self):
        root = fdt.parse(blob({"x": {"cells": "ab"}}))
        with self.assertRaisesRegex(fdt.FdtError, "/x: cells has 3 bytes"):
            root.children[0].cells("cells")

    @unittest.skipUnless(shutil.which("dtc"), "dtc is not installed")
    def test_against_dtc(self):
        source = '/dts-v1/; / { #address-cells = <1>; a: a@1 { ' \
                 'reg = <1>; s = "x", "y"; e; b { r = <&a>; }; }; };'
        data = subprocess.run(["dtc", "-q", "-O", "dtb"], check=True,
                              input=source.encode(), capture_output=True
                              ).stdout
        root = fdt.parse(data)
        node = root.children[0]
        self.assertEqual(list(node.properties),
                         ["reg", "s", "e", "phandle"])
        self.assertEqual(node.strings("s"), ("x", "y"))
        self.assertEqual(node.properties["e"], b"")
        child = node.children[0]
        self.assertEqual(child.path, "/a@1/b")
        self.assertIs(fdt.phandles(root)[child.cells("r")[0]], node)


class Rule(unittest.TestCase):
    def test_a_sole_reusable_region(self):
        found = use()
        self.assertEqual(found.verdict, Verdict.ATTACHES)
        self.assertEqual(found.bus, "simple-bus")
        region, = found.regions
        self.assertEqual((region.kind, region.start, region.size,
                          region.default),
                         (Kind.REUSABLE, 0x2000000, 0x800000, False))

    def test_dynamic_and_default(self):
        region, = use(pool={"phandle": 1, "compatible": "shared-dma-pool",
                            "reusable": None, "size": 0x400000,
                            "linux,cma-default": None}).regions
        self.assertEqual((region.start, region.size, region.default),
                         (None, 0x400000, True))

    def test_cells_of_the_parent(self):
        region, = use(reserved={"#address-cells": 2, "#size-cells": 2},
                      pool={**POOL, "reg": (8, 0x1f800000, 0, 0x800000)}
                      ).regions
        self.assertEqual((region.start, region.size),
                         (0x81f800000, 0x800000))

    def test_what_is_left_alone(self):
        plain = {key: POOL[key] for key in POOL if key != "reusable"}
        for expected, kind, arguments in (
                (Verdict.NOT_REUSABLE, Kind.NO_MAP,
                 {"pool": {**plain, "no-map": None}}),
                (Verdict.NOT_REUSABLE, Kind.NO_MAP,
                 {"pool": {**POOL, "no-map": None}}),
                (Verdict.NOT_REUSABLE, Kind.OTHER_POOL, {"pool": plain}),
                (Verdict.NOT_REUSABLE, Kind.PLAIN,
                 {"pool": {**POOL, "compatible": "ramoops"}}),
                (Verdict.NOT_REUSABLE, Kind.RESTRICTED,
                 {"pool": {**POOL, "compatible": "restricted-dma-pool"}}),
                (Verdict.NOT_REUSABLE, Kind.MISSING,
                 {"device": {"memory-region": 99}}),
                (Verdict.DISABLED, Kind.DISABLED,
                 {"pool": {**POOL, "status": "disabled"}}),
                (Verdict.DISABLED, Kind.REUSABLE,
                 {"device": {"status": "disabled"}}),
                (Verdict.DISABLED, Kind.REUSABLE,
                 {"device": {"status": "reserved"}}),
                (Verdict.DISABLED, Kind.REUSABLE,
                 {"bus": {"status": "disabled"}}),
                (Verdict.IOMMU, Kind.REUSABLE, {"device": {"iommus": 3}})):
            with self.subTest(expected=expected, arguments=arguments):
                found = use(**arguments)
                self.assertEqual(found.verdict, expected)
                self.assertEqual(found.regions[0].kind, kind)

    def test_several_even_if_one_is_reusable(self):
        found = use({"memory-region": (1, 2)})
        self.assertEqual(found.verdict, Verdict.SEVERAL)
        self.assertFalse(found.sole_reusable)

    def test_no_region_at_all(self):
        self.assertEqual(use({"memory-region": None}).verdict,
                         Verdict.NOT_REUSABLE)

    def test_an_iommu_that_does_not_count(self):
        for device, bus in (({"iommus": 99}, {}), ({}, {"iommus": 3})):
            self.assertEqual(use(device, bus=bus).verdict, Verdict.ATTACHES)

    def test_status_okay(self):
        for status in ("okay", "ok"):
            self.assertEqual(use({"status": status}).verdict,
                             Verdict.ATTACHES)

    def test_a_pool_elsewhere_is_none(self):
        data = blob({"pool": POOL, "x": {"memory-region": 1}})
        found, = audit_nodes.uses(data)
        self.assertEqual(found.regions[0].kind, Kind.PLAIN)
        self.assertEqual(found.name, "x")


class Search(unittest.TestCase):
    def setUp(self):
        self.tree = Path(self.enterContext(tempfile.TemporaryDirectory()))
        for name, text in {
                "drivers/a.c": '{ .compatible = "acme,vpu", },\n'
                               "ret = of_reserved_mem_device_init(dev);\n",
                "drivers/b.c": 'if (of_machine_is("acme,vpu")) x();\n'
                               '{ .compatible = "acme,any" },\n',
                "drivers/c.c": 'CLK_OF_DECLARE(c, "acme,clk", c_init);\n'
                               "/* of_reserved_mem_device_init */\n",
                "sound/d.c": 'x("acme,only-mentioned");\n'
                             "devm_of_reserved_mem_device_init_by_name(d);\n",
                "drivers/e.c": '{ .compatible = "syscon" }\n',
                "arch/arc/boot/dts/x.dts": "memory-region = <&x>;\n",
                "arch/arm/boot/dts/y.dts": "memory-region = <&y>;\n"}.items():
            path = self.tree / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

        def git(*words):
            subprocess.run(["git", "-c", "user.name=x", "-c", "user.email=x@y",
                            "-C", str(self.tree), *words], check=True,
                           capture_output=True)
        git("init", "-q")
        git("add", "-A")
        git("commit", "-q", "-m", "x")
        git("tag", "base")

    def test_drivers(self):
        found = audit_drivers.search(self.tree, [
            "acme,vpu", "acme,any", "acme,clk", "acme,only-mentioned",
            "acme,none", "syscon"])
        self.assertEqual(found.of(["acme,vpu", "acme,any"]),
                         ("drivers/a.c",))
        self.assertEqual(found.of(["acme,none", "acme,any"]),
                         ("drivers/b.c",))
        self.assertEqual(found.of(["acme,clk"]), ("drivers/c.c",))
        self.assertEqual(found.of(["acme,only-mentioned"]), ("sound/d.c",))
        self.assertEqual(found.of(["acme,none", "syscon"]), ())
        self.assertEqual(found.callers, {"drivers/a.c", "sound/d.c"})

    def test_other_architectures(self):
        self.assertEqual(audit_drivers.other_sources(self.tree,
                                                     ("arm", "arm64")),
                         ["arch/arc/boot/dts/x.dts"])

    def test_a_tree_without_the_tag(self):
        subprocess.run(["git", "-C", str(self.tree), "tag", "-d", "base"],
                       check=True, capture_output=True)
        with self.assertRaises(LabError) as caught:
            audit_drivers.search(self.tree, ["acme,vpu"])
        self.assertEqual(caught.exception.exit, Exit.BUILD)


CALLER = Drivers({"acme,vpu": ("drivers/a.c",)}, frozenset({"drivers/a.c"}))
SILENT = Drivers({"acme,vpu": ("drivers/b.c",)}, frozenset({"drivers/a.c"}))
NOTHING = Conclusions("Nothing.", (), ())


def concluded(**kwargs):
    return Conclusions("Something.", (Device(("acme,vpu",), "It works.",
                                             **kwargs),), (("N", "text"),))


def judged(drivers, conclusions=NOTHING, devices=1, **kwargs):
    with mock.patch.object(audit_drivers, "search", return_value=drivers):
        return audit.judge({"arm": [(f"board{number}", [use(**kwargs)])
                                    for number in range(devices)]},
                           Path(), conclusions)


class Judge(unittest.TestCase):
    def verdict(self, *args, **kwargs):
        return judged(*args, **kwargs).found[0].verdict

    def test_the_driver_decides(self):
        self.assertEqual(self.verdict(CALLER), Verdict.DRIVER)
        self.assertEqual(self.verdict(SILENT), Verdict.ATTACHES)
        self.assertEqual(self.verdict(Drivers({}, frozenset())),
                         Verdict.NO_DRIVER)

    def test_but_not_what_the_tree_excludes(self):
        self.assertEqual(self.verdict(SILENT, device={"iommus": 3}),
                         Verdict.IOMMU)

    def test_a_helper_has_to_call(self):
        for helper, expected in (("drivers/a.c", Verdict.DRIVER),
                                 ("drivers/c.c", Verdict.ATTACHES)):
            self.assertEqual(self.verdict(SILENT, concluded(attaches=helper)),
                             expected)


class Check(unittest.TestCase):
    def failures(self, found, conclusions, in_tree=True, whole=True):
        results = audit.check(found, conclusions, in_tree=in_tree,
                              whole=whole)
        return [case.message for case in results.cases
                if case.status == "failed"], results.exit

    def test_a_conclusion_is_needed(self):
        for drivers in (SILENT, CALLER):
            for device in ({}, {"iommus": 3}, {"status": "disabled"}):
                found = judged(drivers, device=device)
                messages, code = self.failures(found, NOTHING)
                self.assertEqual(len(messages), 1)
                self.assertIn("acme,vpu", messages[0])
                self.assertEqual(code, Exit.TEST_FAILED)
                self.assertEqual(self.failures(found, concluded()),
                                 ([], Exit.PASS))

    def test_not_where_nothing_is_reusable(self):
        found = judged(SILENT, device={"memory-region": 2})
        self.assertEqual(self.failures(found, NOTHING), ([], Exit.PASS))

    def test_not_for_blobs_of_the_user(self):
        found = judged(SILENT)
        self.assertEqual(self.failures(found, NOTHING, in_tree=False),
                         ([], Exit.PASS))

    def test_a_conclusion_about_nothing(self):
        found = judged(SILENT, device={"memory-region": 2})
        messages, _ = self.failures(found, concluded())
        self.assertIn("no device tree has", messages[0])
        self.assertEqual(self.failures(found, concluded(), whole=False),
                         ([], Exit.PASS))

    def test_a_helper_that_does_not_call(self):
        said = concluded(attaches="drivers/c.c")
        messages, _ = self.failures(judged(SILENT, said), said)
        self.assertIn("does not call", messages[0])

    def test_no_device_tree_at_all(self):
        results = audit.check(audit.Audit({}, ()), NOTHING, in_tree=True,
                              whole=False)
        self.assertEqual(results.exit, Exit.TEST_FAILED)


class Page(unittest.TestCase):
    def render(self, found, conclusions, others=()):
        return audit_document.render(found, conclusions, "7.3.4",
                                     list(others))

    def test_numbers_and_devices(self):
        text = self.render(judged(SILENT, devices=3), concluded())
        self.assertIn("| would newly attach | 3 | 3 | 1 |", text)
        self.assertIn("| several regions: left alone | 0 | 0 | 0 |", text)
        self.assertIn("3: `board0`, `board1`, …", text)
        self.assertIn("`cma@2000000` 8 MiB at 0x2000000", text)
        self.assertIn("**`acme,vpu`**: It works.", text)
        self.assertIn("## N\n\ntext\n", text)
        self.assertIn("Something.", text)

    def test_nobody_looked(self):
        self.assertIn("nobody has looked",
                      self.render(judged(SILENT), NOTHING))

    def test_what_is_left_alone_is_compact(self):
        text = self.render(judged(CALLER, devices=2,
                                  device={"memory-region": (2, 2)}), NOTHING)
        self.assertIn("| arm | `acme,vpu` | 2 no-map pool | 2: `board0`, "
                      "`board1` | `drivers/a.c` |", text)

    def test_a_disabled_candidate_is_listed_once(self):
        text = self.render(judged(SILENT, device={"status": "disabled"}),
                           concluded())
        self.assertEqual(text.count("`board0`"), 1)

    def test_other_architectures_and_order(self):
        found = judged(SILENT)
        self.assertIn("`arch/arc/x.dts`",
                      self.render(found, NOTHING, ["arch/arc/x.dts"]))
        self.assertEqual(self.render(found, NOTHING),
                         self.render(found, NOTHING))


class Files(unittest.TestCase):
    def setUp(self):
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))

    def test_conclusions_of_the_project(self):
        found = audit_conclusions.load(audit.CONCLUSIONS)
        self.assertTrue(found.devices)
        self.assertIsNone(found.about("acme,vpu"))

    def test_wrong_conclusions(self):
        path = self.folder / "x.toml"
        device = '[[device]]\ncompatible = ["a"]\ntext = "x"\n'
        for text, words in (
                ("", "conclusion is missing"),
                ("conclusion = 1", "conclusion is missing or not a text"),
                ('conclusion = "x"\nmore = 1', "no key 'more'"),
                ('conclusion = "x"\n[[device]]\ntext = "x"',
                 "device 1: compatible"),
                ('conclusion = "x"\n[[device]]\ncompatible = ["a"]',
                 "device 1: text is missing"),
                ('conclusion = "x"\n' + device + device,
                 "device 2: a is there twice"),
                ('conclusion = "x"\n' + device + "attaches = 1",
                 "device 1: attaches"),
                ('conclusion = "x"\n[[note]]\ntext = "x"',
                 "note 1: title is missing"),
                ("x", "x.toml")):
            with self.subTest(words):
                path.write_text(text)
                with self.assertRaisesRegex(LabError, words) as caught:
                    audit_conclusions.load(path)
                self.assertEqual(caught.exception.exit, Exit.USAGE)

    def test_folders(self):
        with self.assertRaisesRegex(LabError, "no such folder"):
            audit.blobs(self.folder / "none")
        with self.assertRaisesRegex(LabError, "no .dtb below it"):
            audit.blobs(self.folder)
        path = self.folder / "a" / "b.dtb"
        path.parent.mkdir()
        path.touch()
        self.assertEqual(audit.blobs(self.folder), [path])
        for data, words in (
                (b"no blob, but long enough for its header to be",
                 "b.dtb: it begins with"),
                (board({})[:-4], "b.dtb: its header says")):
            path.write_bytes(data)
            with self.assertRaisesRegex(LabError, words):
                audit.read({"x": [path]}, mock.Mock())

    def test_read(self):
        path = self.folder / "b.dtb"
        path.write_bytes(board({"memory-region": 1}))
        self.assertEqual(audit.read({"x": [path]}, mock.Mock()),
                         {"x": [("b", [use()])]})
        self.assertIsInstance(use(), Use)


if __name__ == "__main__":
    unittest.main()
