# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Check that text and names of this repository are plain operator's English.

It prints the hits in every tracked file, or in the files whose paths are given, and fails if there are any.
"""

from __future__ import annotations

import argparse
import ast
import io
import re
import subprocess
import sys
import tokenize
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("plugins", "roles", "playbooks", "docs", "changelogs/fragments", "tests", "molecule", "inventories", "meta")
PAGES = ("README.md", "TESTING.md", "Makefile")
READ = (".py", ".yml", ".yaml", ".md", ".sh", "Makefile")
SKIPPED = ("tests/data/", "tests/tools/plain_english.py", "tests/unit/test_plain_english.py")

IDENTIFIERS = frozenset(
    [
        "wish",
        "wishes",
        "told",
        "beside",
        "belonging",
        "choice",
        "places",
        "words",
        "whole",
        "live",
        "room",
        "rooms",
        "nobody",
        "somebody",
        "anew",
    ]
)
VERBS = frozenset(
    re.findall(
        r"\w+",
        """
        abort acquire add allow apply archive assemble assert assess attach back begin build calculate call cancel
        change check choose clean close collect compare compute configure confirm connect continue convert copy count
        create damage decide decrypt delete deploy describe detach detect determine disable discard download
        drop empty enable encrypt end ensure enter estimate evaluate execute expire export fail fence fetch fill find
        finish format gather generate get give grant group identify import include initialize inject insert
        inspect install interrupt judge keep kill limit link list load lock mark measure merge migrate mount
        move name notify open pack parse pause plan point prepare print promote protect provision prune publish query
        quiesce raise read rebuild receive record recover redirect refresh refuse register rehearse reject
        release reload remove rename render repair repeat replace replay report request require reserve reset
        resolve restart restore restrict resume retrieve retry return revoke roll rotate run sample save scan
        schedule select send set show shut simulate skip start stop store stream summarize switch sync take
        terminate test time track transfer truncate try undo unlock unpack update upload use validate verify
        wait warn watch withdraw write
        """,
    )
)


@dataclass(frozen=True)
class Rule:
    """One thing that the text does not contain. of: the kinds of text that the pattern is searched in."""

    name: str
    pattern: str
    advice: str
    of: tuple[str, ...] = ("prose", "test")

    def compiled(self) -> re.Pattern[str]:
        """The pattern; a space in it matches the end of a line of text or of a comment too."""
        return re.compile(self.pattern.replace(" ", r"(?:\s+(?:#:?\s+)?)"), re.MULTILINE)


RULES = (
    Rule("actor", r"\b(?i:nobody|somebody|someone|anybody|anyone|everybody|everyone)\b(?![|@])", "name the actor"),
    Rule("who", r"\bWho(?:ever)?\b(?![^.\n]*\?)|(?:\A|^test )who\b|\bwhoever\b", "name the actor instead of who"),
    Rule("what", r"\bWhat(?:ever)?\b(?![^.\n]*\?)|(?:\A|^test )what\b", "name the thing instead of what"),
    Rule("tell", r"\b(?i:tells?|telling|told)\b", "use notify, report, log, print, distinguish"),
    Rule("say", r"\b(?i:say|says|saying|said)\b", "use report, state, print, declare"),
    Rule("speak", r"\b(?i:speaks?|speaking|spoke|spoken)\b", "use mention, use, connect"),
    Rule("go", r"\b(?i:go|goes|going|went|gone) (?:on|well)\b(?! (?:to|the)\b)", "use continue, succeed"),
    Rule("carry_out", r"\b(?i:carry|carries|carried|carrying) (?:it |them )?out\b", "use run, execute"),
    Rule(
        "hand_on",
        r"(?<!by\s)(?<!at\s)\b(?i:hand|hands|handed|handing) (?:it |them )?(?:on|over)\b",
        "use pass, export, send",
    ),
    Rule("without_it", r"\bWithout (?:it|them|this|that|one)\b", "put the condition first: If `X` is unset, ..."),
    Rule("at_once", r"\bat once\b", "use immediately or in parallel"),
    Rule("anew", r"\b(?i:anew)\b", "use again"),
    Rule("meanwhile", r"\b(?i:meanwhile)\b", "use during and the event"),
    Rule("as_it_was", r"\bas (?:it|they) (?:was|were)(?= before\b|\s*(?:[.,;:)]|\Z))", "use unchanged"),
    Rule("any_more", r"\b(?:any more|is no more|are no more)\b(?! (?:than|of)\b)", "use no longer"),
    Rule(
        "there",
        r"\b(?:is|are|was|were|be|already|still|not|stays?|lies|stood|stands?) there(?=[.,;:)]|\Z)",
        "name the place",
    ),
    Rule("image", r"\b(?:nothing is lost|comes? to nothing|doubted|for good)\b", "state the fact"),
    Rule("chance", r"\b(?:of|by) chance\b", "use random"),
    Rule("take_out", r"\b(?:takes?|taken|taking|took) (?:\w+ )?sets? out\b", "use prune"),
    Rule(
        "bring_back",
        r"\b(?i:bring|brings|bringing|brought) (?:it|them|[\w\s]{1,30}?) ?back\b",
        "use restore, undo, roll back",
    ),
    Rule("pronoun", r"\b(?:theirs|ours|yours)\b|\bthem or us\b", "repeat the noun"),
    Rule("release", r"\b(?i:now|no longer|any longer)\b", "the first release has no earlier behaviour", ("fragment",)),
)
COMPILED = [(rule, rule.compiled()) for rule in RULES]


@dataclass(frozen=True)
class Text:
    """A piece of a file. kind: prose, fragment, test, task or identifier. line: where it starts in the file."""

    kind: str
    text: str
    line: int

    def line_of(self, offset: int) -> int:
        """The line of the file that an offset of the text is on."""
        return self.line + self.text.count("\n", 0, offset)


@dataclass(frozen=True)
class Hit:
    """A text that breaks a rule."""

    path: str
    line: int
    rule: str
    found: str
    advice: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.rule}: {self.found!r}: {self.advice}"


def hits(path: str, content: str) -> list[Hit]:
    """The hits of a file by line."""
    found = set()
    stem = re.sub(r"^test_", "", Path(path).stem)
    if path.endswith(".py") or "/tasks/" in path:
        found.update(Hit(path, 1, "identifier", word, "rename the file") for word in banned_parts(stem))
    for text in texts(path, content):
        if text.kind == "identifier":
            found.update(Hit(path, text.line, "identifier", text.text, "rename it") for word in banned_parts(text.text))
        elif text.kind == "task":
            complaint = task_complaint(text.text)
            if complaint:
                found.add(Hit(path, text.line, "task_name", text.text, complaint))
        else:
            found.update(broken_rules(path, text))
    return sorted(found, key=lambda hit: (hit.line, hit.rule, hit.found))


def broken_rules(path: str, text: Text) -> Iterator[Hit]:
    """The hits of one text."""
    for rule, pattern in COMPILED:
        if text.kind in rule.of or (text.kind == "fragment" and "prose" in rule.of):
            for match in pattern.finditer(text.text):
                yield Hit(path, text.line_of(match.start()), rule.name, " ".join(match.group().split()), rule.advice)


def banned_parts(name: str) -> list[str]:
    """The parts of an identifier that neither name data nor functions."""
    parts = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower().split("_")
    return sorted(IDENTIFIERS.intersection(parts))


def task_complaint(name: str) -> str:
    """The reason why a task name is no imperative with an object; empty if it is one."""
    name = re.sub(r"\{\{.*?\}\}", "X", name)
    words = name.split()
    if not words or words[0] == "X":
        return ""
    if len(words) < 3:
        return "name the object and a distinguishing detail, in at least 3 words"
    if words[0].lower() not in VERBS:
        return "begin with a verb of VERBS in plain_english.py"
    if words[1].lower() in {"it", "them", "those", "what", "who", "how"}:
        return f"name the object instead of {words[1]!r}"
    return ""


def texts(path: str, content: str) -> Iterator[Text]:
    """The pieces of a file that people read."""
    if path.endswith(".py"):
        yield from python_texts(content)
    elif path.endswith((".yml", ".yaml")):
        yield Text("fragment" if path.startswith("changelogs/") else "prose", without_code(content), 1)
        yield from task_names(content)
    elif path.endswith(".md"):
        yield Text("prose", without_code(without_fences(content)), 1)
    elif path.endswith((".sh", "Makefile")):
        for number, line in enumerate(content.splitlines(), 1):
            comment = re.search(r"(?:^|\s)#+ (.*)", line)
            if comment:
                yield Text("prose", without_code(comment[1]), number)


def python_texts(content: str) -> Iterator[Text]:
    """Comments, strings that are sentences, and names that are defined."""
    yield from comment_blocks(content)
    tree = ast.parse(content)
    inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in ast.walk(node)} - {
        id(node) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = (part.value if isinstance(part, ast.Constant) else "{}" for part in node.values)
            yield from sentence("".join(parts), node.lineno)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inside:
            yield from sentence(node.value, node.lineno)
        yield from (Text("identifier", name, line) for name, line in defined(node))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name.startswith("test_"):
            yield Text("test", node.name.replace("_", " "), node.lineno)
        elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "EXAMPLES":
            yield from task_names(str(getattr(node.value, "value", "")), node.lineno)


def defined(node: ast.AST) -> Iterator[tuple[str, int]]:
    """The names that a node defines."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        if not node.name.startswith("test_"):
            yield node.name, node.lineno
    elif isinstance(node, ast.arg):
        yield node.arg, node.lineno
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        yield node.id, node.lineno
    elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
        yield node.attr, node.lineno


def sentence(value: str, line: int) -> Iterator[Text]:
    """A string of at least two words; other strings are values."""
    if re.search(r"[A-Za-z{}]\S*\s+\S*[A-Za-z{}]", value):
        yield Text("prose", without_code(value), line)


def comment_blocks(content: str) -> Iterator[Text]:
    """Comments; lines that follow each other are one text."""
    block: list[str] = []
    start = last = 0
    for token in tokenize.generate_tokens(io.StringIO(content).readline):
        if token.type != tokenize.COMMENT:
            continue
        line = token.start[0]
        if block and line != last + 1:
            yield Text("prose", without_code("\n".join(block)), start)
            block = []
        start = start if block else line
        block.append(token.string.lstrip("#: "))
        last = line
    if block:
        yield Text("prose", without_code("\n".join(block)), start)


def without_code(text: str) -> str:
    """Text whose code spans, template expressions and markup of documentation are replaced, line for line."""
    pattern = r"`[^`\n]*`|\{\{.*?\}\}|\{%.*?%\}|\b(?:C|V|O|RV|E|M|P|F|L|U|R)\([^)]*\)|https?://\S+"
    return re.sub(pattern, blank, text, flags=re.DOTALL)


def without_fences(text: str) -> str:
    """A page whose code blocks are empty lines."""
    return re.sub(r"^```.*?^```", blank, text, flags=re.DOTALL | re.MULTILINE)


def blank(match: re.Match[str]) -> str:
    """A neutral word with the line ends of the match."""
    return "X" + "\n" * match.group().count("\n")


def task_names(content: str, first: int = 1) -> Iterator[Text]:
    """The names of plays, blocks, tasks and handlers."""
    try:
        documents = list(yaml.compose_all(content, Loader=yaml.SafeLoader))
    except yaml.YAMLError:
        return
    for document in documents:
        if isinstance(document, yaml.SequenceNode):
            yield from tasks_of(document, first)


def tasks_of(sequence: yaml.Node, first: int) -> Iterator[Text]:
    """The names of a list of plays or tasks, and of the lists in these."""
    for item in sequence.value if isinstance(sequence, yaml.SequenceNode) else ():
        if not isinstance(item, yaml.MappingNode):
            continue
        for key, value in item.value:
            if key.value == "name" and isinstance(value, yaml.ScalarNode) and len(item.value) > 1:
                yield Text("task", value.value, first + value.start_mark.line)
            elif key.value in {"tasks", "pre_tasks", "post_tasks", "handlers", "block", "rescue", "always"}:
                yield from tasks_of(value, first)


def tracked() -> list[str]:
    """The paths that are checked."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *FOLDERS, *PAGES],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [
        path
        for path in listed.stdout.splitlines()
        if path.endswith(READ) and not path.startswith(SKIPPED) and (ROOT / path).is_file()
    ]


def main(arguments: list[str]) -> int:
    """Run the check; the exit status is 1 if there is a hit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("paths", nargs="*", help="check these files or folders only")
    paths = tuple(parser.parse_args(arguments).paths) or ("",)
    found = [
        hit
        for path in tracked()
        if path.startswith(paths)
        for hit in hits(path, (ROOT / path).read_text(encoding="utf-8"))
    ]
    print("".join(f"{hit}\n" for hit in found), end="")
    for rule, number in Counter(hit.rule for hit in found).most_common():
        print(f"{number:6} {rule}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
