"""Glosses: what WordNet says of the nouns in a query, after the query."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from grapebench.files import sha256_json
from grapebench.records import Query, Rewrite
from grapebench.retrieval.searcher import Searcher, attached
from grapebench.rewriters import wordnet
from grapebench.rewriters.setup import Setup
from grapebench.rewriters.window import Fits, fitting

_WORDS = re.compile(r"[A-Za-z]+(?:['’-][A-Za-z]+)*")
_JOIN = re.compile(r" +")
_FUNCTION_WORDS = """
a about above across after against all along amid among an and another any are around as at be been before behind below
beneath beside between beyond both but by can could did do does down each either every few for from had has have he her
hers him his how i if in inside into is it its itself like many may me might more most much must my near neither no nor
not of off on one onto or other others our out outside over own past she should since so some such than that the their
them themselves then there these they this those though through till to together toward towards two three four five six
seven eight nine ten under until up upon us very was we were what when where which while who whom whose why will with
within without would yet you your
"""
FUNCTION_WORDS = frozenset(_FUNCTION_WORDS.split())
"""Not meant as nouns in a caption, though many are one in WordNet: a (ångström), in (inch), he (helium)."""


class Glosses:
    """Searches 'query. noun, gloss. noun, gloss', with as many glosses as fit the retriever's window.

    After DetCLIP (Yao et al., NeurIPS 2022), which enriches the names of things with their definitions in this form,
    in training as in use, and reads each by itself; here they follow the query, and the retriever was never shown any.

    Only English queries have English nouns; others, and texts that fill the window by themselves, stay as they are.
    """

    language_model = False
    sampled = False
    stored = False

    class Settings(BaseModel):
        model_config = ConfigDict(extra="forbid", frozen=True)

        wordnet: Path | None = None
        """Folder of WordNet's database, relative to the card; by default WNSEARCHDIR's, or Debian's."""
        words: int | None = Field(None, ge=1)
        """How many words a text may have; None is what fits the retriever's window."""

    def __init__(self, settings: Settings, setup: Setup) -> None:
        """Raises UserError where there is no WordNet."""
        folder = settings.wordnet
        self.settings = settings
        self.wordnet = wordnet.WordNet(wordnet.find(folder and (setup.base or Path()) / folder.expanduser()))
        self._searcher: Searcher | None = None

    def attach(self, searcher: Searcher) -> None:
        self._searcher = searcher

    @property
    def description(self) -> dict[str, Any]:
        return {"wordnet": {"version": self.wordnet.version, "sha256": self.wordnet.sha256}}

    @property
    def fingerprint(self) -> str:
        return sha256_json(["detclip", 1, self.settings.words, self.wordnet.sha256])

    def rewrite(self, queries: Sequence[Query]) -> Iterator[Rewrite]:
        """One rewrite for each query. Raises UserError where the retriever has no window and no words are set."""
        fits = fitting(attached(self._searcher).retriever, self.settings.words)
        for query in queries:
            text = self._enriched(query.text, fits) if query.language == "en" else query.text
            yield Rewrite(query.id, texts=(text,))

    def _enriched(self, text: str, fits: Fits) -> str:
        """The text, and in the order of its nouns every gloss for which there is room."""
        found = text
        for lemma in nouns(text, self.wordnet):
            longer = f"{found.rstrip(' .')}. {lemma.replace('_', ' ')}, {self.wordnet.gloss(lemma)}"
            found = longer if fits(longer) else found
        return found


def nouns(text: str, known: wordnet.WordNet) -> list[str]:
    """The lemmas of an English text's nouns and compounds, each once, in their order.

    From left to right the longest run of words, with nothing but spaces between them, that WordNet has as a noun. A
    single word counts unless it is a function word, or mostly not a noun: 'red' and 'small' are nouns too. Nothing
    is parsed, so a verb in a form that is also a noun ('sitting') may be taken for one.
    """
    words = list(_WORDS.finditer(text))
    found: dict[str, None] = {}
    place = 0
    while place < len(words):
        taken = 1
        for count in range(min(known.longest, _run(text, words, place)), 0, -1):
            phrase = _JOIN.sub(" ", text[words[place].start() : words[place + count - 1].end()])
            lemma = known.lemma(phrase)
            if lemma and (count > 1 or (phrase.lower() not in FUNCTION_WORDS and known.mostly_noun(lemma))):
                found[lemma] = None
                taken = count
                break
        place += taken
    return list(found)


def _run(text: str, words: Sequence[re.Match[str]], place: int) -> int:
    """How many words from `place` on have nothing but spaces between them."""
    count = 1
    while place + count < len(words):
        between = text[words[place + count - 1].end() : words[place + count].start()]
        if not _JOIN.fullmatch(between):
            break
        count += 1
    return count
