"""What stands in a document: all that was said, as it was meant, and nothing that acts."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.support.dialog import path_of

VOID = {"meta", "hr", "br", "input", "col", "img", "link"}


class Page(HTMLParser):
    """The text of a page as a reader sees it, and its elements; tags must be balanced."""

    def __init__(self, source):
        super().__init__()
        self.source = source
        self.elements = []      # (tag, attributes)
        self.text = ""
        self._open = []
        self.feed(source)
        self.close()
        assert not self._open, self._open

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open and self._open.pop() == tag, tag

    def handle_data(self, data):
        if "style" not in self._open:
            self.text += data

    def tags(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    def inside(self, tag):
        """The sources between <tag ...> and </tag>."""
        return re.findall(rf"<{tag}\b[^>]*>(.*?)</{tag}>", self.source, re.DOTALL)


@pytest.fixture
def written(stack):
    """Turns as (user text, answer), then the page of their dialog."""
    def write(*turns, session=None):
        chat = stack.chat(session)
        for user_text, answer in turns:
            stack.model.will_say(answer)
            assert chat.say(user_text).status == 200
        return Page(Path(path_of(chat.write_to_doc().wait()["document_url"])).read_text())
    return write


def test_it_begins_with_its_facts(written):
    page = written(("hi", "hello"), ("bye", "so long"), session="Support 42")
    assert page.source.startswith("<!DOCTYPE html>")
    assert page.inside("h1") == ["Support 42"] and page.inside("title") == ["Support 42"]
    assert "2 turns" in page.text and "gpt-4o-mini" in page.text and "UTC" in page.text
    assert page.tags("time")


def test_who_said_what_stands_in_order(written):
    page = written(("question one", "answer one"), ("question two", "answer two"))
    places = [page.text.index(words) for words in (
        "question one", "answer one", "question two", "answer two")]
    assert places == sorted(places)
    assert len(page.tags("time")) >= 4


def test_markdown_of_an_answer_is_rendered(written):
    page = written(("how?", """# Heading

Some *emphasis*, **weight** and `code`.

- one
- two

1. first
2. second

| Name | Value |
| ---- | ----: |
| a    | 1     |

```python
print("<hello> & bye")
```

> a quotation

[a link](https://example.com/?a=1&b=2) and https://example.org/auto, ~~gone~~
"""))
    assert "<em>emphasis</em>" in page.source and "<strong>weight</strong>" in page.source
    assert "Heading" in page.text and "# Heading" not in page.text
    assert len(page.inside("li")) == 4 and len(page.tags("blockquote")) == 1
    assert {"Name", "Value", "a", "1"} <= {re.sub("<.*?>", "", cell).strip()
                                           for cell in page.inside("t[hd]")}
    assert 'print("<hello> & bye")' in page.text
    assert {"https://example.com/?a=1&b=2", "https://example.org/auto"} <= {
        link.get("href") for link in page.tags("a")}
    assert re.search(r"<(del|s|strike)\b", page.source)


def test_code_stands_in_monospace(written):
    page = written(("how?", "```\nspaces    kept\n```"))
    [block] = page.inside("pre")
    assert "spaces    kept" in block or "spaces&nbsp;" in block
    assert "monospace" in page.source


HOSTILE = [
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "<b>bold</b>", "</body></html>",
    "<iframe src='https://example.com'></iframe>", "<!-- comment -->", "&lt;b&gt; &amp; &#x41;",
    "<style>*{display:none}</style>", "<a href='javascript:alert(1)'>x</a>", "]]>", "<![CDATA[x]]>",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_html_is_text_whoever_wrote_it(written, text):
    page = written((text, f"before {text} after"))
    for tag in ("script", "img", "iframe", "b"):
        assert not page.tags(tag)
    assert not [attributes for _, attributes in page.elements
                if any(name.startswith("on") for name in attributes)]
    assert text in page.text                            # the user's, to the letter
    if "&" not in text:
        assert page.text.count(text) == 2               # and the model's


@pytest.mark.parametrize("link", ["javascript:alert(1)", "JaVaScRiPt:alert(1)", "data:text/html,x",
                                  "vbscript:x", "file:///etc/passwd"])
def test_links_that_act_are_no_links(written, link):
    page = written(("how?", f"[click]({link}) and <{link}>"))
    assert "click" in page.text
    assert not [a for a in page.tags("a") if a.get("href", "").lower().startswith(link[:5].lower())]


def test_nothing_is_fetched_from_elsewhere(written):
    page = written(("how?", "![picture](https://example.com/x.png)"))
    assert not page.tags("img") and not page.tags("script") and not page.tags("link")
    assert "url(" not in page.source and "@import" not in page.source
    assert "picture" in page.text


@pytest.mark.parametrize("text", [
    "naïve Straße", "日本語のテキスト", "🙂👩‍👩‍👧‍👦🏳️‍🌈", "مرحبا بالعالم", "שלום עולם", "नमस्ते",
    "Zalgo t̵e̶x̷t̸", "\u200bzero\u200dwidth", "a\u2028b",
])
def test_every_language_and_emoji_is_kept(written, text):
    page = written((text, text))
    assert page.text.count(text) == 2
    assert "utf-8" in page.source[:400].lower()


@pytest.mark.parametrize("text", ["مرحبا بالعالم", "שלום עולם"])
def test_what_is_written_from_right_to_left_is_shown_so(written, text):
    page = written((text, text))
    assert [a for _, a in page.elements if a.get("dir") in ("rtl", "auto")]


def test_line_breaks_of_the_user_are_kept(written):
    page = written(("one\ntwo\r\nthree\n\nfour *not emphasis* # no heading", "ok"))
    assert "four *not emphasis* # no heading" in page.text
    assert page.source.count("<br") >= 2 or "pre-wrap" in page.source


def test_an_answer_that_was_cut_is_marked(stack):
    chat = stack.chat()
    held = stack.model.hold()
    stream = chat.stream("tell me more")
    held.send("Once upon a")
    stream.next_text()
    stream.close()
    held.wait_gone()
    chat.say("next")
    page = Page(Path(path_of(chat.write_to_doc().wait()["document_url"])).read_text())
    assert "Once upon a" in page.text and "interrupted" in page.text.lower()


@pytest.mark.parametrize("answer", [
    "[" * 20_000, "> " * 5_000 + "x", "*" * 20_000, "`" * 20_000, "- " * 3_000 + "x",
    "|" * 20_000, "<" * 20_000, "![" * 10_000, "a\n" * 20_000, "\\" * 20_000, "&" * 20_000,
], ids=lambda answer: f"{answer[:4]!r}")
def test_markdown_made_to_hurt_is_rendered_soon(written, answer):
    assert written(("how?", answer)).source.rstrip().endswith("</html>")
