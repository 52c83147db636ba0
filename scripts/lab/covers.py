# SPDX-License-Identifier: GPL-2.0-only
"""Cover letters: the empty commit in the tree, and the mail in patches/.

In the tree each series begins with an empty commit:

    title of the series

    text of the letter

    series: 1-fixes
    change-id: 20261120-topic-0123456789ab

In patches/ that is 0000-cover-letter.patch in the form b4 gives its covers:
title and text, `---`, shortlog and diffstat, `---`, base and change-id. Both
directions are exact, so that apply and refresh lose nothing.
"""

import email
import email.header
import email.policy
import email.utils
import re
from dataclasses import dataclass

NAME = "0000-cover-letter.patch"
SERIES = re.compile(r"[1-9][0-9]*-[a-z0-9][a-z0-9-]*")
CHANGE_ID = re.compile(r"[0-9]{8}-[a-z0-9-]+-[0-9a-f]{12}")
TRAILERS = re.compile(r"\n\nseries: (\S+)\nchange-id: (\S+)\n*\Z")
SUBJECT = re.compile(r"\[PATCH 0+/[0-9]+\] (.*)", re.DOTALL)


class CoverError(ValueError):
    """A cover letter that is not in the form above; says what is wrong."""


@dataclass(frozen=True)
class Cover:
    """One cover letter. @body has no newline at its ends."""

    series: str
    change_id: str
    title: str
    body: str

    def message(self) -> str:
        """The commit message."""
        return f"{self.title}\n\n{self.body}\n\nseries: {self.series}\n" \
               f"change-id: {self.change_id}\n"


def is_cover(message: str) -> bool:
    """Whether a commit message is meant as a cover letter."""
    return re.search(r"^series: ", message, flags=re.MULTILINE) is not None


def from_message(message: str) -> Cover:
    """The cover letter in a commit message; raises CoverError."""
    match = TRAILERS.search(message)
    if not match:
        raise CoverError("does not end with an empty line and the lines "
                         "`series: <n>-<topic>` and "
                         "`change-id: <yyyymmdd>-<topic>-<12 hex digits>`")
    title, _, body = message[:match.start()].partition("\n")
    if body and not body.startswith("\n"):
        raise CoverError("has no empty line after its title")
    return _checked(Cover(match.group(1), match.group(2), title,
                          body.strip("\n")))


def _checked(cover: Cover) -> Cover:
    if not SERIES.fullmatch(cover.series):
        raise CoverError(f"series {cover.series!r} is not <n>-<topic>, "
                         "as in 1-fixes")
    if not CHANGE_ID.fullmatch(cover.change_id):
        raise CoverError(f"change-id {cover.change_id!r} is not <yyyymmdd>-"
                         "<topic>-<12 hex digits>")
    if not cover.title.strip() or cover.title != cover.title.strip():
        raise CoverError("has no title, or spaces around it")
    if not cover.body:
        raise CoverError("has no text between title and series")
    lines = cover.body.split("\n")
    if "---" in lines:
        raise CoverError("has a line `---` in its text, which would end it")
    if any(line != line.rstrip() for line in lines) or "\r" in cover.body:
        raise CoverError("has white space at the end of a line")
    return cover


def _header(text: str) -> str:
    return text if text.isascii() else email.header.Header(
        text, "utf-8", maxlinelen=998).encode()


def to_mail(cover: Cover, *, author: tuple[str, str, str], count: int,
            summary: str, base: str) -> str:
    """The text of 0000-cover-letter.patch.

    @author is (name, mail address, RFC 2822 date); @count the number of
    patches; @summary the shortlog and diffstat; @base the tag it is made on.
    """
    name, address, date = author
    number = "0" * len(str(count))
    sender = email.utils.formataddr((name, address)) if name.isascii() \
        else f"{_header(name)} <{address}>"
    lines = ["From 0000000000000000000000000000000000000000 "
             "Mon Sep 17 00:00:00 2001",
             f"From: {sender}", f"Date: {date}",
             f"Subject: {_header(f'[PATCH {number}/{count}] {cover.title}')}"]
    if not (cover.body + summary).isascii():
        lines += ["MIME-Version: 1.0",
                  "Content-Type: text/plain; charset=UTF-8",
                  "Content-Transfer-Encoding: 8bit"]
    lines += ["", cover.body, "", "---", summary.strip("\n"), "---",
              f"base: {base}", f"change-id: {cover.change_id}", ""]
    return "\n".join(lines)


def from_mail(text: str, series: str) -> tuple[Cover, tuple[str, str, str]]:
    """(cover, (name, mail address, date)) of a mail; raises CoverError.

    @series is the name of the folder it was found in.
    """
    mail = email.message_from_bytes(text.encode("utf-8"),
                                    policy=email.policy.default)
    subject = SUBJECT.fullmatch(str(mail["Subject"] or ""))
    if not subject:
        raise CoverError("has no `Subject: [PATCH 0/n] title`")
    name, address = email.utils.parseaddr(str(mail["From"] or ""))
    date = str(mail["Date"] or "")
    if not address or not date:
        raise CoverError("has no From or no Date")
    content = text.partition("\n\n")[2]
    body, mark, rest = content.partition("\n---\n")
    change_id = re.search(r"^change-id: (\S+)$", rest, flags=re.MULTILINE)
    if not mark or not change_id:
        raise CoverError("has no `---` line and `change-id:` after its text")
    cover = Cover(series, change_id.group(1), subject.group(1),
                  body.strip("\n"))
    return _checked(cover), (name, address, date)
