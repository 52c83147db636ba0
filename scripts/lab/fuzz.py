# SPDX-License-Identifier: GPL-2.0-only
"""`fuzz`: libFuzzer and sanitizers on the kernel's parsers of our parameters.

The parsers of the kernel tree are compiled for this machine, with the types
of each kind of ARM kernel, and run on command lines that libFuzzer makes out
of those of the boot table. scripts/fuzz/target.c says what is a finding.
"""

import argparse
import secrets
import time
from collections.abc import Callable
from pathlib import Path

from . import (fuzz_corpus, fuzz_mutants, fuzz_target, libfuzzer, packages,
               paths, process, source, tree)
from .errors import Exit, LabError
from .fuzz_target import VARIANTS, Variant
from .options import Options
from .output import Output, short
from .report import SKIPPED, Case, Results

SECONDS = 60
MAX_SECONDS = 7 * 86400
SHOWN_INPUT = 300
DICTIONARY = fuzz_target.SOURCE / "cma.dict"
CORPUS = fuzz_target.FOLDER / "corpus"
SEEDS = fuzz_target.FOLDER / "seeds"
SELF_TEST_SEED = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `fuzz`."""
    parser.add_argument("--seconds", type=int, default=SECONDS, metavar="N",
                        help=f"how long, for all {len(VARIANTS)} kinds of "
                             f"kernel together ({SECONDS})")
    parser.add_argument("--seed", type=int, metavar="N",
                        help="try the same inputs as the last time with this "
                             "number: start from the boot table alone, keep "
                             "nothing (default: random, and from what earlier "
                             "runs found worth keeping)")
    parser.add_argument("--self-test", action="store_true",
                        help="after that, see that each mistake of "
                             "scripts/fuzz/mutants.toml is found")


def main(args: argparse.Namespace, options: Options, output: Output) -> Exit:
    """Build, fuzz each variant, and try the mutants if asked to."""
    if not len(VARIANTS) <= args.seconds <= MAX_SECONDS:
        raise LabError(Exit.USAGE, f"--seconds {args.seconds}: "
                       f"{len(VARIANTS)} to {MAX_SECONDS} are possible")
    if args.seed is not None and args.seed not in libfuzzer.SEEDS:
        raise LabError(Exit.USAGE, f"--seed {args.seed}: 1 to "
                       f"{libfuzzer.SEEDS.stop - 1} are possible")
    seeds = fuzz_corpus.load()
    mutants = fuzz_mutants.load() if args.self_test else []

    output.set_steps(4 + len(VARIANTS) + len(mutants))
    with output.step("packages"):
        packages.require(options, output, "fetch", "fuzz")
    with output.step("fetch"):
        version = source.ensure(options, output).version
    with output.step("apply"):
        kernel = tree.ensure(options, output)
    if options.dry_run:
        output.verdict(True, "fuzz: nothing was run (--dry-run)")
        return Exit.PASS
    if args.seed is not None and not libfuzzer.can_fix_addresses():
        output.warn("addresses are random here (setarch -R fails), so --seed "
                    "may give other inputs the next time")
    folder = paths.run_folder("fuzz")
    with paths.lock("fuzz"):
        fuzzing = Fuzzing(kernel, folder, args.seed, output)
        with output.step("build"):
            programs = fuzzing.build(seeds)
        for variant in VARIANTS:
            with output.step(f"fuzz {variant.name}"):
                fuzzing.fuzz(variant, programs[variant],
                             args.seconds / len(VARIANTS))
        sound = fuzzing.results.exit == Exit.PASS
        for mutant in mutants:
            with output.step(f"mutant {mutant.name}"):
                fuzzing.try_mutant(mutant, sound)

    results = fuzzing.results
    total = sum(run["executions"] for run in fuzzing.runs.values())
    return results.conclude(
        output, folder, "fuzz",
        f"{total} inputs, seed {fuzzing.seed}: {results.totals}",
        version=version, seed=fuzzing.seed, runs=fuzzing.runs)


class Fuzzing:
    """One run of the verb: @runs has the figures of each variant."""

    def __init__(self, kernel: Path, folder: Path, seed: int | None,
                 output: Output):
        self.kernel, self.folder, self.output = kernel, folder, output
        self.repeatable = seed is not None
        self.seed = seed or 1 + secrets.randbelow(libfuzzer.SEEDS.stop - 1)
        self.results = Results()
        self.runs: dict[str, dict[str, int]] = {}
        self.words: tuple[str, ...] = ()

    def build(self, seeds: dict[str, str]) -> dict[Variant, Path]:
        """The program of each variant, and the files to start with."""
        log = self.folder / "build.log"
        fuzz_corpus.write(seeds, SEEDS)
        self.output.note(f"{len(seeds)} command lines to start with")
        self.words = fuzz_target.word_flags(log)
        if not self.words:
            self.results.add(Case(
                "fuzz", "32-bit words", SKIPPED, "clang cannot link for a "
                "32-bit x86 here, so words and pointers have 64 bits",
                log=str(log)))
        return {variant: fuzz_target.build(
                    self.kernel, variant, self.words,
                    fuzz_target.FOLDER / variant.name, log)
                for variant in VARIANTS}

    def fuzz(self, variant: Variant, program: Path, seconds: float) -> None:
        """Run one variant; a finding is a failed case."""
        own = self.folder / variant.name
        corpus = own / "corpus" if self.repeatable else CORPUS
        outcome, case = self._run("fuzz", variant.name, program, own, seconds,
                                  self.seed, corpus, self.kernel)
        self.runs[variant.name] = {
            "executions": outcome.executions, "edges": outcome.coverage,
            "features": outcome.features, "corpus": outcome.corpus,
            "rate": outcome.rate}
        self.output.note(f"{outcome.executions} inputs, {outcome.coverage} "
                         f"edges, {outcome.features} features")
        if outcome.problem:
            case.fail(describe(outcome, program))

    def try_mutant(self, mutant: fuzz_mutants.Mutant, sound: bool) -> None:
        """Build and run a mutant; a case that fails if it is not found."""
        own = self.folder / f"mutant-{mutant.name}"
        copy = own / "kernel"
        if not sound:
            self.results.add(Case("fuzz-mutants", mutant.name, SKIPPED,
                                  "the parsers themselves have a finding"))
            return
        wrong = fuzz_mutants.make(mutant, self.kernel, copy)
        if wrong:
            self.results.add(Case("fuzz-mutants", mutant.name)).fail(wrong)
            return
        program = fuzz_target.build(copy, VARIANTS[0], self.words, own,
                                    own / "build.log")
        outcome, case = self._run(
            "fuzz-mutants", mutant.name, program, own, fuzz_mutants.LIMIT,
            SELF_TEST_SEED, own / "corpus", copy)
        missed = fuzz_mutants.missed(mutant, outcome.problem)
        if missed:
            case.fail(missed)
        else:
            self.output.note(f"found after {outcome.executions} inputs")

    def _run(self, suite: str, name: str, program: Path, own: Path,
             seconds: float, seed: int, corpus: Path, kernel: Path
             ) -> tuple[libfuzzer.Outcome, Case]:
        for path in (own, corpus):
            path.mkdir(parents=True, exist_ok=True)
        log = own / "fuzz.log"
        case = self.results.add(Case(suite, name, log=str(log)))
        begin = time.monotonic()
        outcome = libfuzzer.run(
            program, seconds=seconds, seed=seed, corpus=[corpus, SEEDS],
            dictionary=DICTIONARY, artifacts=own, log=log, tree=kernel,
            repeatable=self.repeatable or suite != "fuzz",
            progress=self.output.progress)
        case.seconds = time.monotonic() - begin
        return outcome, case


def describe(outcome: libfuzzer.Outcome, program: Path) -> str:
    """What was found, with which input, and how to see it again."""
    text = outcome.problem
    if not outcome.artifact:
        return text
    try:
        found = outcome.artifact.read_bytes()
    except OSError as error:
        return f"{text}; {outcome.artifact}: {error.strerror}"
    shown = repr(found).removeprefix("b")
    if len(shown) > SHOWN_INPUT:
        shown = f"{shown[:SHOWN_INPUT]}… ({len(found)} bytes)"
    again = process.shown([short(program), short(outcome.artifact)])
    return f"{text}; input {shown}; again with `{again}`"
