# SPDX-License-Identifier: GPL-2.0-only
"""What README tells people to type."""

import re
import subprocess
import unittest

from lab import paths


class GitAm(unittest.TestCase):
    def test_the_recipe_names_every_patch_in_the_order_of_the_series(self):
        text = (paths.REPO / "README.md").read_text(encoding="utf-8")
        recipe = re.search(r"^    git am \$\((.*)\)$", text, re.MULTILINE)
        self.assertIsNotNone(recipe)
        command = recipe[1].replace("/path/to/patches", str(paths.PATCHES.parent))
        got = subprocess.run(["sh", "-c", command], capture_output=True,
                             text=True, check=True).stdout.split()
        want = [str(patch)
                for series in sorted(paths.PATCHES.iterdir(),
                                     key=lambda s: int(s.name.split("-")[0]))
                for patch in sorted(series.glob("*.patch"))
                if not patch.name.startswith("0000-")]
        self.assertTrue(want)
        self.assertEqual(got, want)


if __name__ == "__main__":
    unittest.main()
