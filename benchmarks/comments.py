"""How much is said beside the code, comment lines a line of code: ``python benchmarks/comments.py [FOLDER]``.

A line counts as a comment when one stands on it, alone or behind code; as code when anything else does that is no
docstring (a string that is a statement by itself). So a line may count as both, and blank lines and docstrings count as
neither. FOLDER may be any project's: the package itself is the default.
"""

import sys
import tokenize
from collections import Counter
from pathlib import Path

import rtcprobe

AROUND = {tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING, tokenize.ENDMARKER}


def counted(path: Path) -> tuple[int, int]:
    """Return how many lines of a module have code, and how many a comment."""
    code, comments = set[int](), set[int]()
    begins = True  # a statement does: a string there is a docstring
    with path.open("rb") as file:
        for token in tokenize.tokenize(file.readline):
            if token.type == tokenize.COMMENT:
                comments.add(token.start[0])
            elif token.type in AROUND:
                begins = begins or token.type != tokenize.NL
            else:
                if not (begins and token.type == tokenize.STRING):
                    code.update(range(token.start[0], token.end[0] + 1))
                begins = False
    return len(code), len(comments)


def main() -> None:
    """Print the rooms of a folder, the largest first, and all of it."""
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(rtcprobe.__file__).parent
    code, comments = Counter[str](), Counter[str]()
    for path in root.rglob("*.py"):
        inside = path.relative_to(root).parts
        lines, said = counted(path)
        for room in ("all", inside[0] if len(inside) > 1 else "."):
            code[room] += lines
            comments[room] += said
    for room, lines in code.most_common():
        print(f"{room:16} {lines:6} lines of code {comments[room]:5} of comments {comments[room] / max(lines, 1):.3f}")


if __name__ == "__main__":
    main()
