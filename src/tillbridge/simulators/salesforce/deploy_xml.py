"""Metadata XML as a tree that knows its lines: a deploy failure names line and column.

No entities and no document types: the platform takes none, and they are how XML attacks begin.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.parsers import expat

NAMESPACE = "http://soap.sforce.com/2006/04/metadata"


class XmlRefused(ValueError):
    """Not well-formed, or not metadata."""

    def __init__(self, message: str, line: int, column: int) -> None:
        super().__init__(message)
        self.line, self.column = line, column


@dataclass(slots=True)
class Node:
    """One element."""

    tag: str
    line: int
    column: int
    text: str = ""
    children: list[Node] = field(default_factory=list)

    def all(self, tag: str) -> list[Node]:
        """Return the children of a name."""
        return [child for child in self.children if child.tag == tag]

    def one(self, tag: str) -> Node | None:
        """Return the first child of a name."""
        return next((child for child in self.children if child.tag == tag), None)

    def get(self, tag: str, default: str = "") -> str:
        """Return the text of the first child of a name."""
        found = self.one(tag)
        return found.text if found is not None else default

    def flag(self, tag: str) -> bool:
        """Say whether a child reads `true`."""
        return self.get(tag) == "true"

    def texts(self, tag: str) -> list[str]:
        """Return the texts of the children of a name."""
        return [child.text for child in self.all(tag)]

    def walk(self) -> Iterator[Node]:
        """Yield this element and everything below it."""
        yield self
        for child in self.children:
            yield from child.walk()


def parse(content: bytes) -> Node:
    """Read a file. Raises XmlRefused."""
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    top = Node("", 0, 0)
    stack = [top]

    def start(name: str, _attributes: dict[str, str]) -> None:
        space, _, tag = name.rpartition(" ")
        line, column = parser.CurrentLineNumber, parser.CurrentColumnNumber + 1
        if len(stack) == 1 and space != NAMESPACE:
            raise XmlRefused(f"Unknown root element {tag}: the namespace must be {NAMESPACE}", line, column)
        node = Node(tag, line, column)
        stack[-1].children.append(node)
        stack.append(node)

    def end(_name: str) -> None:
        node = stack.pop()
        node.text = node.text.strip()

    def characters(text: str) -> None:
        stack[-1].text += text

    def doctype(*_: object) -> None:
        raise XmlRefused("DOCTYPE is disallowed", parser.CurrentLineNumber, parser.CurrentColumnNumber + 1)

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler, parser.StartDoctypeDeclHandler = characters, doctype
    try:
        parser.Parse(content, True)
    except expat.ExpatError as wrong:
        raise XmlRefused(
            f"Error parsing file: {expat.ErrorString(wrong.code)}", wrong.lineno, wrong.offset + 1
        ) from wrong
    return top.children[0]
