# SPDX-License-Identifier: GPL-2.0-only
"""Other architectures, for `kunit --arch`: only the suites of generic code.

Nothing that only ARM has may hide in kernel/dma. Each has a small kernel of its
own, kernel-config/generic/, a file in kunit/qemu_configs/, and packages that
are asked for only then.
"""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from . import build, kconfig, packages, paths, source, tree
from .errors import Exit, LabError
from .options import Options
from .output import Output
from .prepare import Prepared

FRAGMENTS = paths.KERNEL_CONFIG / "generic"
STEPS = 4


@dataclass(frozen=True)
class Platform:
    """An architecture on which KUnit runs; @name is that of ARCH=.

    @target    what kbuild makes
    @packages  group of packages.GROUPS
    @program   the emulator
    """

    name: str
    target: str
    packages: str
    program: str


PLATFORMS = {platform.name: platform for platform in (
    Platform("arm64", "Image.gz", "arm64", "qemu-system-aarch64"),
    Platform("x86_64", "bzImage", "x86_64", "qemu-system-x86_64"),
)}


def find(name: str) -> Platform:
    """The platform called @name; raises LabError(USAGE)."""
    try:
        return PLATFORMS[name]
    except KeyError:
        raise LabError(Exit.USAGE, f"--arch {name}: there are "
                       f"{', '.join(PLATFORMS)}") from None


def fragments(platform: Platform) -> list[Path]:
    """What has to be in the configuration, in the order of merging."""
    return [FRAGMENTS / "base.config", FRAGMENTS / f"{platform.name}.config"]


# kunit.py asks for KVM first. What a suite says must not depend on the host, and
# where the host is a virtual machine itself, KVM may be there and not work.
_WITHOUT_KVM = """\
#!/bin/sh
# {program} as kunit.py wants it, but always emulated
for word; do
	shift
	[ "$word" = kvm ] || [ "$word" = hvf ] && word=tcg
	set -- "$@" "$word"
done
exec '{path}' "$@"
"""


def emulator(platform: Platform, folder: Path) -> dict[str, str]:
    """The environment in which kunit.py gets an emulator without KVM."""
    path = shutil.which(platform.program)
    if path is None:
        raise LabError(Exit.ENVIRONMENT, f"{platform.program}: not found")
    script = folder / "bin" / platform.program
    script.parent.mkdir()
    script.write_text(_WITHOUT_KVM.format(program=platform.program,
                                          path=path), encoding="utf-8")
    script.chmod(0o755)
    return {"PATH": f"{script.parent}:{os.environ.get('PATH', '')}"}


def kernel(options: Options, output: Output, platform: Platform) -> Prepared:
    """Packages, source, tree and kernel: STEPS steps. There is no guest.

    Suites that the architecture cannot have are not asserted: what a run of
    suites.toml wants is looked for in what ran.
    """
    with output.step("packages"):
        packages.require(options, output, "fetch", "build", platform.packages)
    with output.step("fetch"):
        version = source.ensure(options, output).version
    with output.step("apply"):
        folder = tree.ensure(options, output)
    with output.step(f"build {platform.name}"):
        suites = [path for name in kconfig.series_fragments(False)
                  for path in kconfig.fragments(name)[1:]]
        made = build.ensure_files(
            options, output, folder, f"kunit-{platform.name}",
            [*fragments(platform), *suites], (platform.target,),
            arch=platform.name, asserted=fragments(platform))
    output.record(kernel=version, arch=platform.name)
    return Prepared(version, folder, made, made, False)
