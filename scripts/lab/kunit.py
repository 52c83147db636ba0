# SPDX-License-Identifier: GPL-2.0-only
"""`kunit`: kunit.py of the kernel tree runs and parses the suites.

It boots the kernel that is already built, through a folder that looks like a
build folder to it. Added here is what it does not see: splats in the log,
nothing that matched, suites that are missing, a guest that was lost.
"""

import argparse
import fnmatch
import json
import os
import re
import shlex
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from . import (generic, machines, nodes, oracle, oracle_report, paths,
               prepare, process, qemu, splats, toml)
from .errors import Exit, LabError
from .generic import Platform
from .machines import Machine
from .nodes import Node
from .options import Options
from .oracle import Oracle
from .output import Output
from .report import FAILED, PASSED, SKIPPED, Case, Results

SUITES = paths.REPO / "kunit" / "suites.toml"
QEMU_CONFIGS = paths.REPO / "kunit" / "qemu_configs"
TIMEOUT = 120.0
_KEYS = {"name", "filter", "suites", "machines", "arches", "cmdline",
         "nodes", "allowed", "covers", "oracle_allowed", "oracle_observed"}
_STATUS = {"PASS": PASSED, "SKIP": SKIPPED, "FAIL": FAILED, "ERROR": FAILED}


@dataclass(frozen=True)
class Run:
    """One boot of kunit.py on one machine, or on another architecture.

    @covers    globs for the files that the suites are about
    @oracle_allowed  RULE@DEVICE, what the suites do on purpose
    @oracle_observed  suites whose buffers the oracle has to see change hands
    """

    name: str
    filter: str
    machine: Machine | Platform
    suites: tuple[str, ...] = ()
    cmdline: str = ""
    allowed: tuple[str, ...] = ()
    nodes: tuple[Node, ...] = ()
    covers: tuple[str, ...] = ()
    oracle_allowed: tuple[str, ...] = ()
    oracle_observed: tuple[str, ...] = ()


def load(path: Path = SUITES, arches: bool = False) -> list[Run]:
    """The runs of suites.toml; raises LabError(USAGE) that names the run.

    Those on the machines, or with @arches those on other architectures.
    """
    document = toml.read(path)
    entries = document.get("run")
    if set(document) != {"run"} or not isinstance(entries, list):
        raise LabError(Exit.USAGE, f"{path}: a list of [[run]] tables is "
                                   "expected")
    runs = []
    for number, entry in enumerate(entries, 1):
        try:
            runs += _runs(entry)
        except (ValueError, re.error) as error:
            raise LabError(Exit.USAGE, f"{path.name}: run "
                           f"{entry.get('name', number)!r}: {error}") from None
    return [run for run in runs
            if isinstance(run.machine, Platform) == arches]


def _runs(entry: dict[str, Any]) -> list[Run]:
    unknown = sorted(set(entry) - _KEYS)
    if unknown:
        raise ValueError(f"unknown key {unknown[0]!r}")
    for key in ("name", "filter"):
        if not isinstance(entry.get(key), str) or not entry[key]:
            raise ValueError(f"{key} must be a string")
    for key in ("suites", "machines", "arches", "allowed", "covers",
                "oracle_allowed", "oracle_observed"):
        value = entry.get(key, [])
        if not isinstance(value, list) or \
                not all(isinstance(item, str) for item in value):
            raise ValueError(f"{key} must be a list of strings")
    if not entry.get("suites"):
        raise ValueError("suites must name at least one suite")
    for suite in entry.get("oracle_observed", []):
        if suite not in entry["suites"]:
            raise ValueError(f"oracle_observed: no suite {suite!r}")
    for pattern in entry.get("allowed", []):
        re.compile(pattern)
    runs = []
    places: list[Machine | Platform] = []
    for name in entry.get("machines", sorted(machines.DEFAULT)):
        if name not in machines.DEFAULT:
            raise ValueError(f"no machine {name!r}")
        places.append(machines.MACHINES[name])
    for name in entry.get("arches", []):
        if name not in generic.PLATFORMS:
            raise ValueError(f"no architecture {name!r}")
        places.append(generic.PLATFORMS[name])
    for place in places:
        cmdline = entry.get("cmdline", "")
        if isinstance(cmdline, dict):
            cmdline = cmdline.get(place.name, "")
        if not isinstance(cmdline, str):
            raise ValueError("cmdline must be a string or a table of them")
        runs.append(Run(entry["name"], entry["filter"], place,
                        tuple(entry["suites"]), cmdline,
                        tuple(entry.get("allowed", [])),
                        _nodes(entry, place),
                        tuple(entry.get("covers", [])),
                        tuple(entry.get("oracle_allowed", [])),
                        tuple(entry.get("oracle_observed", []))))
    return runs


def _nodes(entry: dict[str, Any],
           place: Machine | Platform) -> tuple[Node, ...]:
    tables = entry.get("nodes", {})
    if not isinstance(tables, dict) or \
            not all(isinstance(table, list) and
                    all(isinstance(text, str) for text in table)
                    for table in tables.values()):
        raise ValueError("nodes must be a table of lists of strings")
    for name in tables:
        if name not in machines.DEFAULT:
            raise ValueError(f"nodes: no machine {name!r}")
    if not isinstance(place, Machine):
        return ()
    made = tuple(nodes.parse(text) for text in tables.get(place.name, []))
    nodes.overlay(made, place.cells)
    return made


def selected(runs: list[Run], names: list[str], pattern: str | None,
             extra: list[str]) -> list[Run]:
    """@runs on the machines @names, or one run per machine for @pattern.

    A pattern takes along what the suites that it matches need.
    """
    runs = [run for run in runs if run.machine.name in names]
    added = " ".join(extra)
    if pattern is None:
        return [replace(run, cmdline=f"{run.cmdline} {added}".strip())
                for run in runs]
    glob = pattern.split(".")[0]
    result = []
    for name in names:
        near = [run for run in runs if run.machine.name == name
                and any(fnmatch.fnmatchcase(suite, glob)
                        for suite in run.suites)]
        cmdlines = dict.fromkeys(run.cmdline for run in near)
        result.append(Run(
            "filter", pattern, place(name),
            tuple(suite for run in near for suite in run.suites
                  if fnmatch.fnmatchcase(suite, glob)
                  and "." not in pattern),
            " ".join([*cmdlines, added]).strip(),
            tuple(text for run in near for text in run.allowed),
            tuple(dict.fromkeys(node for run in near for node in run.nodes)),
            oracle_allowed=tuple(dict.fromkeys(
                one for run in near for one in run.oracle_allowed)),
            oracle_observed=tuple(
                suite for run in near for suite in run.oracle_observed
                if fnmatch.fnmatchcase(suite, glob) and "." not in pattern)))
    return result


def place(name: str) -> Machine | Platform:
    """The machine or the architecture of that name."""
    return machines.MACHINES.get(name) or generic.PLATFORMS[name]


def command(run: Run, prepared: prepare.Prepared, folder: Path,
            dtb: Path | None, timeout: float) -> list[str]:
    """The kunit.py command for @run."""
    words = [sys.executable, "-B",
             str(prepared.tree / "tools" / "testing" / "kunit" / "kunit.py"),
             "exec", f"--build_dir={folder}",
             f"--qemu_config={QEMU_CONFIGS / run.machine.name}.py",
             *([f"--qemu_args=-dtb {shlex.quote(str(dtb))}"] if dtb else []),
             f"--timeout={timeout:.0f}",
             f"--json={folder / 'kunit.json'}"]
    words += [f"--kernel_args={word}" for word in run.cmdline.split()]
    return [*words, run.filter]


def flatten(group: dict[str, Any], names: tuple[str, ...] = ()
            ) -> list[tuple[str, str, str]]:
    """(suite, case, status) for each leaf of kunit.py's JSON."""
    leaves = [((*names, case["name"]), case["status"])
              for case in group.get("test_cases", [])]
    found = [(path[0], " / ".join(path[1:]) or path[0], status)
             for path, status in leaves]
    for sub in group.get("sub_groups", []):
        found += flatten(sub, (*names, sub["name"]))
    return found


def judge(run: Run, status: int, console: list[str], printed: str,
          document: dict[str, Any] | None, log: Path,
          seconds: float) -> list[Case]:
    """Cases from kunit.py's JSON, and a verdict on everything around it."""
    prefix = f"kunit-{run.machine.name}"
    around = Case(prefix, f"{run.name} run", seconds=seconds, log=str(log))
    cases = []
    for suite, name, word in flatten(document or {}):
        case = Case(f"{prefix}/{suite}", name, log=str(log))
        status_of_case = _STATUS.get(word, FAILED)
        if status_of_case == FAILED:
            case.fail("crashed" if word == "ERROR"
                      else _failure_reason(name, console))
        elif status_of_case == SKIPPED:
            case.status = SKIPPED
            case.message = _skip_reason(name, console)
        cases.append(case)
    found = splats.scan(console, run.allowed)
    if found:
        around.fail(f"{len(found)} splat lines, the first in {found[0]}",
                    Exit.GUEST)
    ran: dict[str, list[str]] = {}
    for case in cases:
        ran.setdefault(case.suite.split("/", 1)[1], []).append(case.status)
    if "timed out after" in printed:
        around.fail("the guest did not end in time", Exit.TIMEOUT)
    elif not any("reboot: Restarting system" in line or
                 "reboot: Power down" in line for line in console):
        around.fail("the guest was lost before KUnit ended", Exit.GUEST)
    if not cases:
        around.fail(f"no case matches {run.filter!r}")
    for suite in run.suites:
        if suite not in ran:
            around.fail(f"suite {suite} is missing")
        elif set(ran[suite]) == {SKIPPED}:
            around.fail(f"suite {suite}: all cases were skipped")
    if status and around.status == PASSED and \
            not any(case.status == FAILED for case in cases):
        around.fail(f"kunit.py failed with status {status}")
    return [*cases, around]


def _skip_reason(name: str, console: list[str]) -> str:
    """Why a case was skipped; rows of other cases may have the same name."""
    first, last = name.split(" / ")[0], name.split(" / ")[-1]
    begin = re.compile(r"# Subtest: " + re.escape(first) + "$")
    pattern = re.compile(r"ok \d+ " + re.escape(last) + r" # SKIP (.*)")
    start = next((number for number, line in enumerate(console)
                  if begin.search(line.rstrip())), 0)
    for line in console[start:]:
        match = pattern.search(line)
        if match:
            return match[1].strip()
    return "no reason given"


def _failure_reason(name: str, console: list[str]) -> str:
    """The first failed expectation of this case, as far as the log tells.

    With parameters KUnit names only the function, so it may be another row's.
    """
    pattern = re.compile("# " + re.escape(name.split(" / ")[0])
                         + r": (EXPECTATION|ASSERTION) FAILED at (\S+)")
    for number, line in enumerate(console):
        match = pattern.search(line)
        if match:
            following = console[number + 1] if number + 1 < len(console) \
                else ""
            return f"{match[2]}: " + re.sub(r"^\[[ .\d]*\]\s*", "", following)
    return "failed without an expectation in the log"


def device_tree(run: Run, prepared: prepare.Prepared, folder: Path,
                emulator: tuple[str, ...] = (qemu.PROGRAM,)) -> Path | None:
    """The blob for @run, with its nodes; None where there is none.

    @emulator  the command that prints what the machine is like
    """
    if not isinstance(run.machine, Machine):
        return None
    overlay = None
    if run.nodes:
        overlay = folder / "nodes.dtso"
        overlay.write_text(nodes.overlay(run.nodes, run.machine.cells))
    return qemu.device_tree(run.machine, prepared.build, folder,
                            run.machine.memory, False, overlay, emulator)


def execute(run: Run, prepared: prepare.Prepared, folder: Path,
            options: Options, timeout: float = TIMEOUT,
            watcher: Oracle | None = None) -> list[Case]:
    """Run kunit.py once; its files go into a folder of their own.

    @watcher  judges the cache maintenance, not on other architectures
    """
    if watcher and isinstance(run.machine, Machine):
        run = replace(run, machine=oracle.one_processor(run.machine))
        timeout *= oracle.SLOWER
    own = folder / f"{run.name}-{run.machine.name}"
    own.mkdir(parents=True)
    (own / ".kunitconfig").write_text("")
    (own / "arch").symlink_to(prepared.build / "arch")
    dtb = device_tree(run, prepared, own,
                      watcher.emulator.command if watcher
                      else (qemu.PROGRAM,))
    words = command(run, prepared, own, dtb, timeout)
    (own / "cmdline").write_text(shlex.join(words) + "\n")
    result, seconds = _timed(words, own, timeout,
                             _environment(run, prepared, own, watcher))
    if options.dry_run:
        return []
    log = own / "console.log"
    if (own / "test.log").exists():
        (own / "test.log").rename(log)
    console = log.read_text(errors="replace").splitlines() \
        if log.exists() else []
    try:
        document = json.loads((own / "kunit.json").read_text())
    except (OSError, ValueError):
        document = None
    cases = judge(run, result.returncode, console, result.stdout, document,
                  log if log.exists() else own / "kunit.log", seconds)
    if watcher:
        case, _ = oracle_report.judge(f"kunit-{run.machine.name}",
                                      own / oracle.REPORT,
                                      moved=bool(run.oracle_observed))
        case.name = f"{run.name} oracle"
        cases.append(case)
    return cases


def _environment(run: Run, prepared: prepare.Prepared, own: Path,
                 watcher: Oracle | None) -> dict[str, str]:
    """What kunit.py needs to find the right QEMU."""
    if isinstance(run.machine, Platform):
        return generic.emulator(run.machine, own)
    if not watcher:
        return {}
    return oracle.environment(
        watcher, oracle.arguments(watcher, run.machine, run.machine.memory,
                                  prepared.build, own / oracle.REPORT,
                                  run.oracle_allowed),
        own, os.environ.get("PATH", ""))


def _timed(words: list[str], own: Path, timeout: float, env: dict[str, str]):
    begin = time.monotonic()
    result = process.run(words, log=own / "kunit.log", timeout=timeout + 30,
                         env=env)
    return result, time.monotonic() - begin


def per_suite(cases: list[Case]) -> list[str]:
    """`suite: N passed, N failed, N skipped` for each suite."""
    suites: dict[str, Results] = {}
    for case in cases:
        if "/" in case.suite:
            suites.setdefault(case.suite, Results()).add(case)
    return [f"{suite}: {results.totals}" for suite, results in suites.items()]


def limit(config: str) -> float:
    """Seconds until a run is given up; generous, no test is timed."""
    return TIMEOUT * prepare.slowness(config)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `kunit`."""
    parser.add_argument("--machine", action="append", metavar="NAME",
                        help="zynq or virt (default: both)")
    parser.add_argument("--arch", metavar="NAME",
                        help=f"{' or '.join(generic.PLATFORMS)}: the suites "
                             "of generic code on that architecture instead")
    parser.add_argument("--config", default="default", metavar="NAME",
                        help="a fragment of kernel-config/ on top of base")
    parser.add_argument("--filter", metavar="GLOB",
                        help="suites or suite.case instead of those in "
                             "kunit/suites.toml")
    parser.add_argument("--kernel_args", action="append", default=[],
                        metavar="WORD", help="another kernel parameter")
    parser.add_argument("--timeout", type=int, metavar="S",
                        help=f"seconds per boot ({TIMEOUT:g}, more for slow "
                             "configurations)")
    oracle.add_arguments(parser)
    parser.add_argument("--stock", action="store_true",
                        help="the kernel without the series, with --filter")


def _names(args: argparse.Namespace) -> list[str]:
    """Where to run; raises LabError(USAGE)."""
    if args.arch:
        for option, given in (("--machine", args.machine),
                              ("--config", args.config != "default"),
                              ("--oracle", args.oracle),
                              ("--stock", args.stock)):
            if given:
                raise LabError(Exit.USAGE, f"--arch and {option} exclude each "
                                           "other: there is one kernel for it")
        return [generic.find(args.arch).name]
    names = list(dict.fromkeys(args.machine or sorted(machines.DEFAULT)))
    for name in names:
        if machines.find(name).config:
            raise LabError(Exit.USAGE, f"--machine {name}: kunit runs on "
                           + ", ".join(machines.DEFAULT))
    return names


def main(args: argparse.Namespace, options: Options, output: Output) -> Exit:
    """Prepare, run each boot, judge; see the module's docstring."""
    args.oracle = args.oracle or args.incoherent
    names = _names(args)
    if args.timeout is not None and not 1 <= args.timeout <= 86400:
        raise LabError(Exit.USAGE, f"--timeout {args.timeout}: 1 to 86400 "
                                   "seconds are possible")
    if args.filter is not None and \
            not re.fullmatch(r"[\w*?\[\]-]+(\.[\w*?\[\]-]+)?", args.filter):
        raise LabError(Exit.USAGE, f"--filter {args.filter!r}: a glob such "
                       "as dma_* or dma_contiguous.parse* is expected")
    for word in args.kernel_args:
        if not word or any(c.isspace() for c in word) or not word.isascii():
            raise LabError(Exit.USAGE, f"--kernel_args {word!r}: one word of "
                           "ASCII is expected, repeat the option for more")
    if args.stock and args.filter is None:
        raise LabError(Exit.USAGE, "--stock needs --filter: the suites of "
                       "the series are not in that kernel")
    prepare.check_config(args.config)
    runs = selected(load(arches=bool(args.arch)), names, args.filter, args.kernel_args)

    if args.arch:
        output.set_steps(generic.STEPS + len(runs))
        prepared = generic.kernel(options, output, generic.find(args.arch))
    else:
        output.set_steps(prepare.STEPS + len(runs) + args.oracle)
        prepared = prepare.kernel(options, output, args.config, args.stock)
    watcher = None
    if args.oracle:
        with output.step("oracle"):
            watcher = oracle.ensure(options, output, args.incoherent)
    folder = paths.run_folder("kunit")
    results = Results()
    for run in runs:
        with output.step(f"kunit {run.name} on {run.machine.name}"):
            results.extend(execute(run, prepared, folder, options,
                                   args.timeout or limit(args.config),
                                   watcher))
    if options.dry_run:
        output.verdict(True, "kunit: nothing was run (--dry-run)")
        return Exit.PASS
    return results.conclude(output, folder, "kunit", results.totals,
                            per_suite(results.cases), version=prepared.version)
