# SPDX-License-Identifier: GPL-2.0-only
"""The area that a device tree gives a device."""

import subprocess
import tempfile
import unittest
from pathlib import Path

from lab import attachment
from lab.errors import Exit, LabError
from lab.ranges import Range

TREE = """
/dts-v1/;
/ {
	#address-cells = <2>;
	#size-cells = <1>;
	reserved-memory {
		#address-cells = <2>;
		#size-cells = <1>;
		ranges;
		a: a { compatible = "shared-dma-pool"; reusable;
		       reg = <0x1 0x40000000 0x800000>; };
		off: off { compatible = "shared-dma-pool"; reusable;
			   reg = <0 0 0x800000>; status = "disabled"; };
		nomap: nomap { compatible = "shared-dma-pool"; no-map;
			       reg = <0 0 0x800000>; };
		plain: plain { reusable; reg = <0 0 0x800000>; };
		floating: floating { compatible = "shared-dma-pool"; reusable;
				     size = <0x800000>; };
	};
	one { memory-region = <&a>; };
	two { memory-region = <&a>, <&a>; };
	none { };
	gone { memory-region = <&a>; status = "disabled"; };
	to-off { memory-region = <&off>; };
	to-nomap { memory-region = <&nomap>; };
	to-plain { memory-region = <&plain>; };
	to-floating { memory-region = <&floating>; };
};
"""


class Area(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.blob = Path(folder.name) / "tree.dtb"
        subprocess.run(["dtc", "-q", "-I", "dts", "-O", "dtb", "-o",
                        str(cls.blob)], input=TREE, text=True, check=True)

    def test_the_only_region_is_the_area(self):
        self.assertEqual(attachment.area(self.blob, "/one"),
                         Range(0x140000000, 0x800000))

    def test_anything_else_is_none(self):
        for node in ("two", "none", "gone", "to-off", "to-nomap", "to-plain",
                     "to-floating", "no-such-node"):
            self.assertIsNone(attachment.area(self.blob, f"/{node}"), node)

    def test_no_device_tree(self):
        with self.assertRaises(LabError) as caught:
            attachment.area(Path(__file__), "/one")
        self.assertEqual(caught.exception.exit, Exit.USAGE)
        self.assertIn("it begins with", str(caught.exception))


if __name__ == "__main__":
    unittest.main()
