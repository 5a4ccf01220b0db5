"""Outline of a C++ file: its declarations with their lines, and its comments. A reader of well-formatted code, no compiler:
it knows scopes, brackets, strings and comments, which is enough for checks of style."""
import bisect
import dataclasses
import re

TOKEN = re.compile(
    r"""//[^\n]*|/\*.*?\*/|R"(?P<tag>[^\s()\\]{0,16})\(.*?\)(?P=tag)"|"(?:\\.|[^"\\\n])*"|(?<![0-9a-zA-Z_])'(?:\\.|[^'\\\n])*'"""
    r"""|^[ \t]*\#(?:\\\n|[^\n])*""",
    re.DOTALL | re.MULTILINE)
ACCESS = re.compile(r"(public|protected|private)\s*:(?!:)")
TYPE = re.compile(r"\b(class|struct|union|enum)\b[^();=]*$")
TYPE_NAME = re.compile(r"\b(?:class|struct|union|enum(?:\s+class|\s+struct)?)\s+(?:\[\[.*?\]\]\s*)?([\w:]+)")
OPERATOR = re.compile(r"\boperator\s*(\(\s*\)|\[\s*\]|[-+*/%^&|~!=<>,]+|[\w:]+(?:\s*[*&])?)")


@dataclasses.dataclass
class Declaration:
    kind: str                # "type", "function", "other"
    name: str
    head: str                # text up to the body or the semicolon, comments and strings blanked
    first: int               # line of its first word
    head_last: int           # line of the body's brace or the semicolon
    last: int
    public: bool
    parent: "Declaration | None" = None
    has_body: bool = False
    members: list = dataclasses.field(default_factory=list)

    @property
    def lines(self):
        return self.last - self.first + 1


class Outline:
    """`declarations`: those at namespace scope; `comments`: line -> text; `blank`: lines without anything."""

    def __init__(self, text):
        self.text = text
        self.starts = [0] + [i + 1 for i, c in enumerate(text) if c == "\n"]
        self.comments = {}
        self.code = TOKEN.sub(self._blank, text)
        lines, code_lines = text.split("\n"), self.code.split("\n")
        self.line_count = text.count("\n") + (not text.endswith("\n"))
        self.blank = {n for n, line in enumerate(lines, 1) if not line.strip()}
        self.with_code = {n for n, line in enumerate(code_lines, 1) if line.strip()}
        self.declarations = []
        self._scope(0, len(self.code), None, True, self.declarations)

    def functions(self):
        """All functions that have a body, in classes too."""
        todo = list(self.declarations)
        while todo:
            declaration = todo.pop(0)
            todo += declaration.members
            if declaration.kind == "function" and declaration.has_body:
                yield declaration

    def line(self, position):
        return bisect.bisect_right(self.starts, position)

    def _blank(self, match):
        token = match.group()
        if token.startswith(("//", "/*")):
            for offset, text in enumerate(token.split("\n")):
                self.comments.setdefault(self.line(match.start()) + offset, text.strip(" /*"))
        return re.sub(r"[^\n]", " ", token)

    def _closing(self, i):
        depth = 0
        for found in re.finditer(r"[{}]", self.code[i:]):
            depth += 1 if found.group() == "{" else -1
            if depth == 0:
                return i + found.start()
        return len(self.code) - 1

    def _scope(self, i, end, parent, public, found):
        while i < end:
            if self.code[i].isspace() or self.code[i] in ";}":
                i += 1
            elif parent and (access := ACCESS.match(self.code, i)):
                public = access.group(1) == "public"
                i = access.end()
            else:
                i = self._statement(i, end, parent, public, found)

    def _statement(self, start, end, parent, public, found):
        """Reads one declaration and returns the position after it."""
        i, depth = start, 0
        while i < end:
            c = self.code[i]
            depth += (c in "([") - (c in ")]")
            if c == ";" and depth == 0:
                self._add(start, i, i, parent, public, found)
                return i + 1
            if c == "{":
                head, close = self.code[start:i], self._closing(i)
                opens = self._opens(head) if depth == 0 else "value"
                if opens == "namespace":
                    self._scope(i + 1, close, None, True, found)
                    return close + 1
                if opens == "type":
                    return self._type(start, i, close, parent, public, found)
                if opens == "function":
                    close = self._after_handlers(close)
                    self._add(start, i, close, parent, public, found)
                    return close + 1
                i = close
            i += 1
        return end

    def _opens(self, head):
        """What a brace after `head` begins."""
        if re.match(r"\s*(inline\s+)?(namespace\b|extern\s*$)", head):
            return "namespace"
        plain = plain_head(head)
        while (shorter := re.sub(r"\([^()]+\)", "()", plain)) != plain:
            plain = shorter
        if TYPE.search(plain) and "(" not in plain:
            return "type"
        if "(" not in plain or re.search(r"=(?!=)", plain):
            return "value"
        after = plain[plain.rindex(")") + 1:] if ")" in plain else ""
        is_initialiser = re.search(r"\)[^()]*(?<!:):(?!:)", plain) and re.search(r"[,:]\s*[\w:]+\s*$", after)
        return "value" if is_initialiser else "function"

    def _after_handlers(self, close):
        """End of the last catch block of a function that is a try block."""
        while handler := re.compile(r"\s*catch\s*\([^)]*\)\s*").match(self.code, close + 1):
            close = self._closing(handler.end())
        return close

    def _type(self, start, brace, close, parent, public, found):
        head = self.code[start:brace]
        end = self.code.find(";", close)
        name = TYPE_NAME.search(plain_head(head))
        declaration = Declaration("type", name.group(1) if name else "", head, self.line(start), self.line(brace),
                                  self.line(close), public, parent, True)
        found.append(declaration)
        if not re.search(r"\benum\b", head):
            self._scope(brace + 1, close, declaration, not re.search(r"\bclass\b", plain_head(head)), declaration.members)
        return end + 1 if end >= 0 else len(self.code)

    def _add(self, start, head_end, close, parent, public, found):
        head = self.code[start:head_end]
        plain = plain_head(head)
        kind, name = "other", ""
        function = re.search(r"([~\w:]+)\s*\(", plain)
        is_other = re.match(r"\s*(using|typedef|friend|static_assert|namespace|extern\s+template|[A-Z0-9_]+\s*\()", plain)
        if function and not is_other and not re.search(r"(?<![=!<>])=(?!=)\s*[^0d=\s]", plain[:function.start()]):
            kind, name = "function", function.group(1)
        found.append(Declaration(kind, name, head, self.line(start), self.line(head_end), self.line(close), public,
                                 parent, close != head_end))


def plain_head(head):
    """`head` without template lists and default arguments in braces; operators get a plain name."""
    head = OPERATOR.sub("operator_", head)
    head = head.replace("->", "  ")
    while (shorter := re.sub(r"<[^<>;]*>", " ", head)) != head:
        head = shorter
    head = re.sub(r"\[\[.*?\]\]", " ", head)
    return re.sub(r"\{[^{}]*\}", " ", head)
