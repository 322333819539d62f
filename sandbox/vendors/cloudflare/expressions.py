"""Whether a rule's expression is one: the grammar of Cloudflare's Rules language.

Its form alone (developers.cloudflare.com/ruleset-engine/rules-language), not which fields there
are, nor their types: a field's name has to begin as Cloudflare's do.
"""

import re
from collections.abc import Iterator

_TOKEN = re.compile(
    r"\s*(?:(?P<text>\"(?:[^\"\\]|\\.)*\"|r(#*)\"(?s:.*?)\"\2)"
    r"|(?P<word>[A-Za-z_][\w.]*|[0-9A-Fa-f.:]+(?:/\d+)?|\$[\w.]+)"
    r"|(?P<sign>&&|\|\||\^\^|==|!=|>=|<=|\.\.|[()\[\]{}<>~!,*&]))"
)
_JOINS = {"and", "or", "xor", "&&", "||", "^^"}
_COMPARES = {
    *("eq", "ne", "lt", "le", "gt", "ge", "contains", "matches", "wildcard", "strict", "in"),
    *("==", "!=", "<", "<=", ">", ">=", "~", "&", "bitwise_and"),
}
_FIELD = re.compile(r"(cf|http|icmp|ip|raw|ssl|tcp|udp)(\.\w+)*")

Token = tuple[int, str]


class _Wrong(Exception):
    def __init__(self, at: int, why: str) -> None:
        super().__init__(why)
        self.at = at


def parsing_error(expression: str) -> str | None:
    """What is wrong, in the form of Cloudflare's message, or None."""
    try:
        _Parser(expression).whole()
    except _Wrong as error:
        before = expression[: error.at]
        line, column = before.count("\n") + 1, error.at - before.rfind("\n")
        shown = expression.splitlines()[line - 1] if expression else ""
        mark = " " * (column - 1) + "^"
        return f"Filter parsing error ({line}:{column}):\n{shown}\n{mark} {error}\n"
    return None


def _tokens(text: str) -> Iterator[Token]:
    at = 0
    while rest := text[at:].strip():
        found = _TOKEN.match(text, at)
        if found is None:
            raise _Wrong(text.index(rest[0], at), "unrecognised input")
        yield found.start(found.lastgroup or 0), found[found.lastgroup or 0]
        at = found.end()


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens = [*_tokens(text), (len(text), "")]
        self._next = 0

    def whole(self) -> None:
        self._alternatives()
        if self._sees():
            raise self._wrong("unrecognised input")

    def _alternatives(self) -> None:
        self._one()
        while self._sees() in _JOINS:
            self._take()
            self._one()

    def _one(self) -> None:
        while self._sees() in ("not", "!"):
            self._take()
        if self._sees() == "(":
            self._take()
            self._alternatives()
            self._require(")")
            return
        self._value()
        if self._sees() in _COMPARES:
            if self._take() == "strict":
                self._require("wildcard")
            self._operand()

    def _value(self) -> None:
        """A field, a function's call, or a constant, with what is taken out of it."""
        at, word = self._tokens[self._next]
        self._word("expected an expression")
        if self._sees() == "(":
            self._take()
            self._listed(")")
        elif word not in ("true", "false") and not _FIELD.fullmatch(word):
            raise _Wrong(at, "unknown identifier")
        while self._sees() == "[":
            self._take()
            self._take()
            self._require("]")

    def _operand(self) -> None:
        if self._sees() == "{":
            self._take()
            while self._sees() != "}":
                self._word("expected a value, or }")
                if self._sees() == "..":
                    self._take()
                    self._word("expected a value")
            self._take()
            return
        self._word("expected a value")

    def _listed(self, end: str) -> None:
        while self._sees() != end:
            if self._sees()[:1] in '"0123456789' and self._sees():
                self._take()
            else:
                self._alternatives()
            if self._sees() == ",":
                self._take()
            elif self._sees() != end:
                raise self._wrong(f'expected literal "{end}"')
        self._take()

    def _sees(self) -> str:
        return self._tokens[self._next][1]

    def _take(self) -> str:
        taken = self._sees()
        if not taken:
            raise self._wrong("unexpected end of input")
        self._next += 1
        return taken

    def _word(self, why: str) -> None:
        if not re.match(r"[\w\"$:]", self._sees()) or self._sees() in _JOINS:
            raise self._wrong(why)
        self._take()

    def _require(self, sign: str) -> None:
        if self._sees() != sign:
            raise self._wrong(f'expected literal "{sign}"')
        self._take()

    def _wrong(self, why: str) -> _Wrong:
        return _Wrong(self._tokens[self._next][0], why)
