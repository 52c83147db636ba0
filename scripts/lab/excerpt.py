# SPDX-License-Identifier: GPL-2.0-only
"""Cut functions, with everything they need, out of C files.

The kernel's sources cannot be compiled for the host as a whole: their headers
lead to the whole kernel. A parser needs little of it. This module finds the
definitions at the top level of a list of files, follows the names that they
use, and writes them out in an order in which they compile. Each keeps the
preprocessor conditions around it, and a #line, so that compilers and
sanitizers name the file and the line in the kernel.

It relies on what the kernel's style guarantees: one definition at a time, and
macros at the top level that end with a semicolon.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

_COMMENT_OR_STRING = re.compile(
    r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
_DIRECTIVE = re.compile(r"\s*#\s*(\w+)\s*(.*)", re.S)
_WORD = re.compile(r"[A-Za-z_]\w*")
_ATTRIBUTE = re.compile(r"__attribute__\b|__\w+\b(?=\s*(?:\(|$|[=;\[]))")
FUNCTION, TAG, NAME, MACRO = "function", "tag", "name", "macro"


@dataclass
class Definition:
    """One definition of a file.

    @names       what it defines; an enum defines its constants, too
    @kind        FUNCTION: used as name(...); TAG: as struct name; NAME or
                 MACRO (without arguments): used as it stands
    @first       its first line, from 1, and @text all of its lines
    @code        the same without comments and without what is in strings
    @conditions  of the #if around it, outermost first
    @local       it is static: other .c files cannot mean it
    """

    path: str
    names: tuple[str, ...]
    kind: str
    first: int
    text: str
    code: str
    conditions: tuple[str, ...]
    local: bool

    def used_by(self, user: "Definition", names: "Names") -> bool:
        """Whether @user, which has @names, may mean this definition."""
        if self is user or self.local and self.path != user.path \
                and self.path.endswith(".c"):
            return False
        if self.kind == FUNCTION:
            # foo1(...) and foo2(...) are also what CONCATENATE(foo, ...) makes
            name, = self.names
            return name in names.called or self.text.startswith("#") and \
                name[-1].isdigit() and name.rstrip("0123456789") in names.words
        where = names.tags if self.kind == TAG else names.words
        return any(name in where for name in self.names)


@dataclass
class Names:
    """The names in a piece of code, by the way they are used."""

    words: set[str] = field(default_factory=set)
    called: set[str] = field(default_factory=set)
    tags: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, code: str) -> "Names":
        """The names in @code."""
        return cls(set(_WORD.findall(code)),
                   set(re.findall(r"\b([A-Za-z_]\w*)\s*\(", code)),
                   set(re.findall(r"\b(?:struct|union|enum)\s+(\w+)", code)))


def blank(text: str) -> str:
    """@text without comments and the inside of strings; lines stay lines."""
    def replace(match: re.Match) -> str:
        found = match[0]
        if found[0] == "/":
            return " " + "\n" * found.count("\n")
        return found[0] + found[0]
    return _COMMENT_OR_STRING.sub(replace, text)


def scan(path: str, text: str) -> list[Definition]:
    """The definitions at the top level of a file, in order."""
    return _Scanner(path, text).run()


class _Scanner:
    def __init__(self, path: str, text: str):
        self.path = path
        self.lines = text.split("\n")
        self.code = blank(text).split("\n")
        self.found: list[Definition] = []
        # each level: (condition now, the negation of all before it)
        self.levels: list[tuple[str, str]] = []
        self.chunk: int | None = None
        self.depth = 0
        self.body = False

    def run(self) -> list[Definition]:
        number = 0
        while number < len(self.code):
            if self.code[number].lstrip().startswith("#"):
                last = number
                while self.lines[last].endswith("\\") and \
                        last + 1 < len(self.lines):
                    last += 1
                if self.depth == 0:
                    self._directive(number, last)
                number = last + 1
                continue
            self._line(number)
            number += 1
        return self.found

    def _line(self, number: int) -> None:
        line = self.code[number]
        if self.chunk is None and line.strip():
            self.chunk = number
        if line.startswith("}"):
            # the last one, even if #ifdef and #else each opened a block
            self.depth = 1
        for position, char in enumerate(line):
            if char == "{":
                if self.depth == 0:
                    before = "\n".join(self.code[self.chunk:number]
                                       + [line[:position]])
                    self.body = before.rstrip().endswith(")")
                self.depth += 1
            elif char == "}":
                self.depth -= 1
                if self.depth == 0 and self.body:
                    self._end(number)
            elif char == ";" and self.depth == 0:
                self._end(number)

    def _end(self, number: int) -> None:
        if self.chunk is not None:
            code = "\n".join(self.code[self.chunk:number + 1]).strip()
            head = code.split("{")[0]
            made = _function(head) if self.body else _other(code, head)
            if made:
                names, kind = made
                self._add(names, kind, self.chunk, number,
                          "static" in (words := _WORD.findall(head))
                          and not {"inline", "__always_inline"} & set(words))
        self.chunk, self.body, self.depth = None, False, 0

    def _add(self, names: tuple[str, ...], kind: str, first: int, last: int,
             local: bool) -> None:
        self.found.append(Definition(
            self.path, names, kind, first + 1,
            "\n".join(self.lines[first:last + 1]),
            "\n".join(self.code[first:last + 1]),
            tuple(now for now, _ in self.levels if now != "1"), local))

    def _directive(self, first: int, last: int) -> None:
        code = "\n".join(self.code[first:last + 1])
        word, rest = _DIRECTIVE.match(code).groups()
        rest = rest.replace("\\\n", " ").strip()
        if word == "define":
            name = _WORD.match(rest)[0]
            if rest == name and len(self.levels) == 1 and \
                    self.levels[0][0] == f"!defined({name})":
                # an include guard; the host's headers may have the same one
                self.levels = [("1", "0")]
                return
            called = rest[len(name):].startswith("(")
            self._add((name,), FUNCTION if called else MACRO, first, last,
                      False)
        elif word in ("if", "ifdef", "ifndef"):
            now = {"if": rest, "ifdef": f"defined({rest})",
                   "ifndef": f"!defined({rest})"}[word]
            self.levels.append((now, f"!({now})"))
        elif word in ("else", "elif") and self.levels:
            _, others = self.levels.pop()
            now = others if word == "else" else f"{others} && ({rest})"
            self.levels.append((now, f"{others} && !({rest})"
                                if word == "elif" else "0"))
        elif word == "endif" and self.levels:
            self.levels.pop()


def _function(head: str) -> tuple[tuple[str, ...], str] | None:
    """The name before the last parentheses of what comes before a body."""
    depth, position = 0, len(head.rstrip())
    while position > 0:
        position -= 1
        depth += (head[position] == ")") - (head[position] == "(")
        if depth == 0:
            break
    words = _WORD.findall(head[:position])
    return ((words[-1],), FUNCTION) if words else None


def _other(code: str, head: str) -> tuple[tuple[str, ...], str] | None:
    """What a struct, an enum, a typedef or a variable defines."""
    tagged = re.match(r"\s*(struct|union|enum)\s*(\w*)\s*\{", code)
    if tagged:
        if tagged[1] != "enum":
            return ((tagged[2],), TAG) if tagged[2] else None
        inside = code[code.index("{") + 1:code.rindex("}")]
        constants = re.findall(r"(?:^|,)\s*(\w+)", inside)
        return tuple(constants), NAME
    if re.match(r"\s*typedef\b", code):
        return (_WORD.findall(code)[-1],), NAME
    before = re.split(r"[=;]", head)[0]
    if "(" in _ATTRIBUTE.sub("", before) or re.match(r"\s*extern\b", before):
        return None
    words = [word for word in _WORD.findall(re.sub(r"\[[^]]*\]", "", before))
             if not re.fullmatch(r"__\w+", word)]
    # a name alone is no definition, `struct cma` neither
    if len(words) < 2 or len(words) == 2 and words[0] in ("struct", "union",
                                                          "enum"):
        return None
    return (words[-1],), NAME


def closure(definitions: list[Definition], roots: Iterable[str],
            known: Iterable[str] = ()) -> list[Definition]:
    """@roots and what they use, each after what it uses itself.

    Names in @known come from elsewhere and are not followed.
    Raises LookupError with the name of a root that is not there.
    """
    known = set(known)
    usable = [one for one in definitions if not known & set(one.names)]
    done: list[Definition] = []
    begun: set[int] = set()

    def visit(one: Definition) -> None:
        if id(one) in begun:
            return
        begun.add(id(one))
        names = Names.of(one.code)
        for other in usable:
            if other.used_by(one, names):
                visit(other)
        done.append(one)

    for root in roots:
        found = [one for one in usable
                 if root in one.names and one.kind != MACRO]
        if not found:
            raise LookupError(root)
        for one in found:
            visit(one)
    return done


def text(definitions: list[Definition], tree: Path) -> str:
    """C source of @definitions, whose paths are relative to @tree."""
    parts = []
    for one in definitions:
        parts += [f"#if {condition}" for condition in one.conditions]
        parts += [f'#line {one.first} "{tree / one.path}"', one.text]
        parts += ["#endif"] * len(one.conditions)
    return "\n".join(parts) + "\n"
