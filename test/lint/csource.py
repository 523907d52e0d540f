"""C as far as the house rules need it: tokens with lines, includes, functions, nesting.

No preprocessor runs: directives are set aside, so what a macro expands to is not looked at, and all
branches of an #if are read. Comments, strings and line continuations never confuse the counting."""
import re
from dataclasses import dataclass

TOKEN = re.compile(r"""
      (?P<comment>/\*.*?\*/|//[^\n]*)
    | (?P<string>(?:u8|[uUL])?"(?:\\.|[^"\\\n])*")
    | (?P<char>[uUL]?'(?:\\.|[^'\\\n])*')
    | (?P<name>[A-Za-z_]\w*)
    | (?P<number>\.?\d(?:[eEpP][+-]|[\w.])*)
    | (?P<space>\s+)
    | (?P<punct>.)
""", re.X | re.S)
INCLUDE = re.compile(r'\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)')
CLOSING = {"(": ")", "{": "}", "[": "]"}
LOOPS = ("for", "while", "switch")


@dataclass
class Token:
    kind: str
    text: str
    line: int


@dataclass
class Function:
    name: str
    first: int  # line of the declaration's first word
    last: int  # line of the closing brace
    deepest: int  # control statements inside each other
    deepest_line: int

    @property
    def lines(self):
        return self.last - self.first + 1


class Source:
    """One file: .tokens (no comments, no directives), .comments, .includes, .functions."""

    def __init__(self, text):
        self.comments = []
        self.includes = []  # (line, name, is_project)
        self.tokens = []
        self._directive_lines = set()
        self._read(text)
        self.functions = list(Functions(self.tokens, self._directive_lines))

    def _read(self, text):
        # A continued line keeps its line number: the newline is only hidden from the directive.
        at, line, fresh = 0, 1, True
        while at < len(text):
            if fresh and re.compile(r"[ \t]*#").match(text, at):
                at, line = self._directive(text, at, line)
                continue
            if text.startswith("\\\n", at):
                at, line = at + 2, line + 1
                continue
            match = TOKEN.match(text, at)
            kind, word = match.lastgroup, match.group()
            if kind == "comment":
                self.comments.append(Token(kind, word, line))
            elif kind != "space":
                self.tokens.append(Token(kind, word, line))
            line += word.count("\n")
            at = match.end()
            fresh = (fresh and kind in ("space", "comment")) or (kind == "space" and "\n" in word)

    def _directive(self, text, at, line):
        first = line
        end = at
        while end < len(text) and text[end] != "\n":
            if text.startswith("\\\n", end):
                end, line = end + 2, line + 1
            elif text.startswith("/*", end):
                close = text.find("*/", end)
                close = len(text) if close < 0 else close + 2
                self.comments.append(Token("comment", text[end:close], line))
                line += text.count("\n", end, close)
                end = close
            elif text.startswith("//", end):
                close = text.find("\n", end)
                close = len(text) if close < 0 else close
                self.comments.append(Token("comment", text[end:close], line))
                end = close
            else:
                end += 1
        found = INCLUDE.match(text[at:end])
        if found:
            self.includes.append((first, found.group(1) or found.group(2), bool(found.group(1))))
        self._directive_lines.update(range(first, line + 1))
        return end, line


class Functions:
    """The function definitions among the tokens of a file."""

    def __init__(self, tokens, directive_lines):
        self.tokens = tokens
        self.directives = directive_lines

    def __iter__(self):
        start, at = 0, 0
        while at < len(self.tokens):
            text = self.tokens[at].text
            if at > start and self._directive_between(at - 1, at):
                start = at
            if text == ";":
                start = at + 1
            elif text == "{":
                end = closing(self.tokens, at)
                if self._is_body(start, at):
                    yield self._function(start, at, end)
                    start = end + 1
                at = end
            elif text in ("(", "["):
                at = closing(self.tokens, at)
            at += 1

    def _directive_between(self, left, right):
        lines = range(self.tokens[left].line, self.tokens[right].line)
        return any(line in self.directives for line in lines)

    def _is_body(self, start, at):
        """Whether the `{` at `at` stands behind a parameter list, not in a type or a value."""
        words = self.tokens[start:at]
        if not words or any(word.text == "=" for word in words):
            return False
        return words[-1].text == ")"

    def _function(self, start, brace, end):
        name, at = "?", start
        while at < brace:  # an attribute's macro may stand before the name
            if self.tokens[at].text == "(":
                if self.tokens[at - 1].kind == "name":
                    name = self.tokens[at - 1].text
                at = closing(self.tokens, at)
            at += 1
        nesting = Nesting(self.tokens, brace, end)
        return Function(name, self.tokens[start].line, self.tokens[end].line,
                        nesting.deepest, nesting.line)


class Nesting:
    """How deep control statements stand inside each other. `else if` continues its `if`; a block of
    its own and the labels of a switch add nothing; NAME(...) {...} is a loop by macro."""

    def __init__(self, tokens, brace, end):
        self.tokens = tokens
        self.end = end
        self.deepest = 0
        self.line = tokens[brace].line
        self._block(brace, 0)

    def _text(self, at):
        return self.tokens[at].text if at <= self.end else ""

    def _block(self, at, depth):
        """at: the `{`. Returns the place behind its `}`."""
        end = closing(self.tokens, at)
        at += 1
        while at < end:
            at = self._statement(at, depth)
        return end + 1

    def _inside(self, at, depth, keyword):
        if depth > self.deepest:
            self.deepest, self.line = depth, self.tokens[keyword].line
        return self._statement(at, depth)

    def _statement(self, at, depth):
        text = self._text(at)
        if text == "{":
            return self._block(at, depth)
        if text == "if":
            return self._if(at, depth)
        if text in LOOPS:
            return self._inside(closing(self.tokens, at + 1) + 1, depth + 1, at)
        if text == "do":
            return self._expression(self._inside(at + 1, depth + 1, at))
        if text == "case":
            return self._behind_colon(at + 1, depth)
        if self.tokens[at].kind == "name" and self._text(at + 1) == ":":
            return self._label(at + 2, depth)
        if self._is_macro_loop(at):
            return self._inside(closing(self.tokens, at + 1) + 1, depth + 1, at)
        return self._expression(at)

    def _if(self, at, depth):
        keyword = at
        at = self._inside(closing(self.tokens, at + 1) + 1, depth + 1, keyword)
        if self._text(at) != "else":
            return at
        if self._text(at + 1) == "if":
            return self._if(at + 1, depth)
        return self._inside(at + 1, depth + 1, at)

    def _label(self, at, depth):
        return at if self._text(at) == "}" else self._statement(at, depth)

    def _behind_colon(self, at, depth):
        questions = 0
        while self._text(at) != ":" or questions:
            questions += {"?": 1, ":": -1}.get(self._text(at), 0)
            at = closing(self.tokens, at) + 1 if self._text(at) in CLOSING else at + 1
        return self._label(at + 1, depth)

    def _is_macro_loop(self, at):
        if self.tokens[at].kind != "name" or self._text(at + 1) != "(":
            return False
        return self._text(closing(self.tokens, at + 1) + 1) == "{"

    def _expression(self, at):
        while at < self.end and self._text(at) != ";":
            at = closing(self.tokens, at) + 1 if self._text(at) in CLOSING else at + 1
        return at + 1


def closing(tokens, at):
    """The place of the bracket that closes the one at `at`; the last token if none does."""
    depth = 0
    for place in range(at, len(tokens)):
        text = tokens[place].text
        if tokens[place].kind != "punct":
            continue
        if text in "({[":
            depth += 1
        elif text in ")}]":
            depth -= 1
            if depth == 0:
                return place
    return len(tokens) - 1
