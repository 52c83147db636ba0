# SPDX-License-Identifier: GPL-2.0-only
"""`check --only dtbs`: dt-schema on the overlays of dts/.

An overlay alone can't be checked, as it depends on what it is applied to. So
the device tree of its machine (the first part of the file's name) is checked
before and after, by dt-schema and by dtc, and a complaint that was not there
before is a failure. dts/bad is wrong on purpose.

A control comes first: an overlay with mistakes, each of which has to be found.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from . import build, git, kconfig, machines, paths, process, qemu
from .dtschema import DtSchema
from .errors import Exit, LabError
from .machines import Machine
from .output import Output

FOLDER = paths.OUT / "check" / "dtbs"
OVERLAYS = paths.REPO / "dts"
BINDINGS = "Documentation/devicetree/bindings"
# Complaints that are not a mistake of the overlay, and why.
IGNORED = {
    r"\('memory-region' was unexpected\)|: 'memory-region' does not match any "
    r"of the regexes": "the binding of that device does not list "
    "memory-region, although the property is generic; to use it in the "
    "kernel's own device trees takes one line in that binding",
}
# What each mistake of the control has to be called.
CONTROL = """\
/dts-v1/;
/plugin/;

&{{/}} {{
	reserved-memory {{
		#address-cells = <{cells}>;
		#size-cells = <{cells}>;
		ranges;

		both {{
			compatible = "shared-dma-pool";
			reusable;
			no-map;
			size = <{size}>;
		}};

		unknown {{
			compatible = "shared-dma-pol";
			reusable;
			size = <{size}>;
		}};

		misspelt {{
			compatible = "shared-dma-pool";
			reusable;
			linux,cma-defalt;
			size = <{size}>;
		}};

		nowhere {{
			compatible = "shared-dma-pool";
			reusable;
		}};
	}};
}};
"""
MISTAKES = ("both (shared-dma-pool): ", "failed to match any schema with "
            "compatible: ['shared-dma-pol']", "'linux,cma-defalt' was "
            "unexpected", "nowhere (shared-dma-pool): ")

Judge = Callable[[str, list[str], str], None]


@dataclass
class Checker:
    """Checks device trees with one dt-schema; @log gets all that it says."""

    tool: DtSchema
    schema: Path
    log: Path
    known: dict[Path, set[str]] = field(default_factory=dict)

    def complaints(self, blob: Path) -> set[str]:
        """What dt-validate says about @blob, one line per complaint."""
        if blob not in self.known:
            result = process.run(
                self.tool.command("dt-validate", "-m", "-s", str(self.schema),
                                  str(blob)), capture=True, log=self.log)
            if result.returncode or "Traceback" in result.stderr:
                raise LabError(Exit.ENVIRONMENT, "dt-validate failed: "
                               + _last_line(result.stderr), self.log)
            dtc = process.run(["dtc", "-I", "dtb", "-O", "dtb", "-o",
                               "/dev/null", str(blob)], capture=True,
                              log=self.log)
            warnings = dtc.stderr.replace("/dev/null: ", f"{blob.name}: ")
            self.known[blob] = complaints(
                result.stdout + result.stderr, blob) | {
                line for line in complaints(warnings, blob)
                if "Failed prerequisite" not in line}
        return self.known[blob]

    def new(self, before: Path, after: Path) -> list[str]:
        """What is said about @after but not about @before."""
        return sorted(self.complaints(after) - self.complaints(before))


def _last_line(text: str) -> str:
    return next((line for line in reversed(text.splitlines())
                 if line.strip()), "no output").strip()


def complaints(text: str, blob: Path) -> set[str]:
    """The complaints of dt-validate or dtc in @text, without the blob's name.

    Lines that are indented belong to the one before.
    """
    found: list[str] = []
    for line in text.splitlines():
        if line[:1].isspace() and found:
            found[-1] += "; " + line.strip().removeprefix(f"{blob}: ")
        elif line.strip():
            found.append(re.sub(rf"^(?:\S*/)?{re.escape(blob.name)}: ", "",
                                line.strip()))
    return set(found)


def ignored(complaint: str) -> str | None:
    """Why @complaint is not asked for, or None."""
    return next((reason for pattern, reason in IGNORED.items()
                 if re.search(pattern, complaint)), None)


def machine_of(overlay: Path) -> Machine:
    """The machine in the name of @overlay; raises LabError(USAGE)."""
    name = overlay.stem.partition("-")[0]
    if name not in machines.DEFAULT:
        raise LabError(Exit.USAGE, f"{overlay}: it has to be called "
                       "MACHINE-….dtso, with one of "
                       + ", ".join(machines.DEFAULT))
    return machines.DEFAULT[name]


def overlays() -> list[Path]:
    """All of dts/ that has to be valid; raises LabError(USAGE) if none is."""
    found = sorted(OVERLAYS.glob("*.dtso"))
    if not found:
        raise LabError(Exit.USAGE, f"{OVERLAYS}: no overlay in it")
    return found


def schema(tool: DtSchema, kernel: Path, log: Path, output: Output) -> Path:
    """All bindings in one file, made anew if they or the tool changed."""
    tree_id = git.ask(kernel, "rev-parse", f"HEAD:{BINDINGS}").strip()
    target = FOLDER / f"schema-{tree_id[:16]}-{tool.version}.json"
    if not target.exists() or git.ask(kernel, "status", "--porcelain", "--",
                                      BINDINGS):
        output.progress("reading the bindings")
        target.parent.mkdir(parents=True, exist_ok=True)
        for old in FOLDER.glob("schema-*"):
            old.unlink()
        temporary = target.with_suffix(".new")
        process.run(tool.command("dt-mk-schema", "-j", "-o", str(temporary),
                                 str(kernel / BINDINGS)), log=log,
                    check=Exit.ENVIRONMENT)
        temporary.replace(target)
    return target


def check(kernel: Path, base: str, tool: DtSchema, output: Output, log: Path,
          judge: Judge) -> None:
    """Check everything; @judge gets a name, complaints and a note."""
    found = [(overlay, machine_of(overlay)) for overlay in overlays()]
    output.info(f"note    dt-schema {tool.version}")
    checker = Checker(tool, schema(tool, kernel, log, output), log)
    _check_bindings(kernel, base, tool, log, judge)
    built = FOLDER / "build"
    build.prepare_folder(built, kernel)
    build.configure(kernel, built, kconfig.fragments("default"), log, output)
    blobs = {machine.dtb for _, machine in found if machine.dtb}
    if blobs:
        build.make(kernel, built, sorted(blobs), log, output)
    for machine in dict.fromkeys(machine for _, machine in found):
        _check_control(machine, built, checker, judge)
    for overlay, machine in found:
        output.progress(overlay.name)
        _check_overlay(overlay, machine, built, checker, judge)
    for reason in IGNORED.values():
        output.info(f"note    not asked for: {reason}")


def _apply(name: str, machine: Machine, built: Path,
           overlay: Path | None) -> Path:
    folder = FOLDER / name
    folder.mkdir(parents=True, exist_ok=True)
    return qemu.device_tree(machine, built, folder, machine.memory, False,
                            overlay)


def _check_overlay(overlay: Path, machine: Machine, built: Path,
                   checker: Checker, judge: Judge) -> None:
    try:
        before = _apply(machine.name, machine, built, None)
        after = _apply(overlay.stem, machine, built, overlay)
    except LabError as error:
        if error.exit != Exit.USAGE:
            raise
        judge(overlay.name, [error.message], "")
        return
    lines = checker.new(before, after)
    wrong = [line for line in lines if ignored(line) is None]
    left = [line.partition("; from schema")[0] for line in lines
            if line not in wrong]
    judge(overlay.name, wrong,
          f"not asked for: {', '.join(left)}" if left else "")


def _check_control(machine: Machine, built: Path, checker: Checker,
                   judge: Judge) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    overlay = FOLDER / f"{machine.name}-control.dtso"
    overlay.write_text(CONTROL.format(
        cells=machine.cells, size="0x0 " * (machine.cells - 1) + "0x800000"),
        encoding="utf-8")
    before = _apply(machine.name, machine, built, None)
    lines = checker.new(before, _apply(overlay.stem, machine, built, overlay))
    judge(f"mistakes are found on {machine.name}",
          [f"dt-schema did not say {mistake!r}" for mistake in MISTAKES
           if not any(mistake in line for line in lines)], "")


def _check_bindings(kernel: Path, base: str, tool: DtSchema, log: Path,
                    judge: Judge) -> None:
    touched = [name for name in git.ask(
        kernel, "diff", "--name-only", "--diff-filter=d", base, "HEAD", "--",
        BINDINGS).splitlines() if name.endswith(".yaml")]
    if not touched:
        judge("bindings", [], "the series touch none")
        return
    result = process.run(tool.command("dt-doc-validate", "-u",
                                      str(kernel / BINDINGS), *touched),
                         cwd=kernel, capture=True, log=log)
    lines = (result.stdout + result.stderr).splitlines()
    judge("bindings", [line for line in lines if line.strip()]
          or ([f"dt-doc-validate ended with {result.returncode}"]
              if result.returncode else []), f"{len(touched)} files")
