"""Copies the snippets that the articles are marked with from the files that they are from.

A mark `<!-- snippet: FILE NAME -->` is followed by a fenced block of Swift, whose content becomes the
lines of FILE between `// snippet: NAME` and `// end`."""

import pathlib
import re
import textwrap


def snippet(file, name):
    text = pathlib.Path(file).read_text()
    pattern = rf"^ *// snippet: {re.escape(name)}\n(.*?)^ *// end$"
    found = re.search(pattern, text, re.MULTILINE | re.DOTALL)
    if not found:
        raise SystemExit(f"{file} has no snippet {name}")
    return textwrap.dedent(found[1])


MARKED = re.compile(r"(<!-- snippet: (\S+) (\S+) -->\n```swift\n)(.*?)(^```$)", re.M | re.S)
for page in [*pathlib.Path("Sources").glob("*/*.docc/*.md"), pathlib.Path("README.md")]:
    old = page.read_text()
    new = MARKED.sub(lambda m: m[1] + snippet(m[2], m[3]) + m[5], old)
    if new != old:
        page.write_text(new)
        print(page)
