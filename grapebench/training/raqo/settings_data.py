"""The settings of MPADE, which builds RAQO's three data sets."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Data(BaseModel):
    """What the data sets are made by. Two of the same settings, seed and material are the same data."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    queries: int = Field(1000, ge=1)
    """At most so many training queries, spread evenly over the split."""

    unambiguous: int = Field(5, ge=1)
    """A text is unambiguous where the best right image comes at this rank or before it, ties counted against it."""
    ambiguous: int = Field(10, ge=1)
    """A text is ambiguous where it comes after this rank. Queries in between are not used."""

    rewriter: str | None = None
    """The card of the rewriter that is asked, of any mechanism; None asks the model that training starts from by the
    plain prompts of `llm`."""
    temperature: float | None = Field(1.0, gt=0)
    """Of its answers, which are sampled; None leaves it to the card."""
    rounds: int = Field(3, ge=1)
    """How often a query is asked for again as long as no answer is unambiguous."""
    samples: int = Field(8, ge=1)
    """Answers to a query in each round."""
    optimise: str | None = None
    """A prompt file that shows in each round what was tried last (in the first the query's own text), what that found
    wrongly and what should have been found, and asks for concepts and rewrite; None asks the card's own prompt."""
    shown: int = Field(3, ge=1)
    """How many wrongly found images that prompt shows."""
    captioner: str | None = None
    """Puts the images that it shows into words; None takes the captions in `oracle.jsonl` beside the data."""

    concepts: Literal["contrast", "named"] = "contrast"
    """'named': the concepts that the model itself names. 'contrast': the words of answers that fail and not of those
    that find."""
    most_concepts: int = Field(4, ge=1)
    """How many a query has at most."""
    smoothing: float = Field(1.0, gt=0)
    """How many answers of either kind are thought added to those that hold a phrase ('contrast')."""

    perturbations: int = Field(2, ge=0)
    """How many rare wordings of each unambiguous English query are tried; 0 leaves them out."""
    replaced: int = Field(2, ge=1)
    """How many of its words a rare wording replaces at most."""
    synonyms: str | None = None
    """A JSON file of words and their rare synonyms, or 'wordnet'; None is `synonyms.json` beside the data, the words of
    the generated world in the miniature, and else WordNet."""
    drop: float = Field(0.02, ge=0)
    """A rare wording is kept where the cosine with the right image falls by at least so much."""

    meaning: Literal["auto", "facts", "sentences", "none"] = "auto"
    """How it is judged whether a rewrite keeps to the matter: by the facts it says, where the data say what an image
    shows, or by sentence embeddings (extra `raqo`); 'auto' takes the facts where they are known."""
    sentence_model: str = "sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2"
    """A folder, or an id of the hub."""
    keep_sentences: float = Field(0.5, ge=-1, le=1)
    """The least cosine of the sentence embeddings of query and rewrite."""
    keep_facts: float = Field(0.8, ge=0, le=1)
    """The least share of the facts that a rewrite says which its image shows."""

    candidates: int = Field(5, ge=2)
    """How many rewrites a list of D_PRO has at most."""
    none_share: float = Field(0.25, ge=0, lt=1)
    """How large a share of D_CCR are unambiguous queries, with nothing hard about them, at most."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.ambiguous < self.unambiguous:
            raise ValueError(f"ambiguous ({self.ambiguous}) must not come before unambiguous ({self.unambiguous})")
        return self
