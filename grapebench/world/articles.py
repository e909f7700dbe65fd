"""Long texts of the miniature: encyclopaedic articles in which the visible facts come last.

The ten categories are those of the Wikipedia benchmark; a category decides what the article talks about, not what the
picture shows. The history uses none of the words that name a visible concept, so the facts stand in the last
paragraph alone, beyond the window of a text encoder.
"""

from __future__ import annotations

import random

from grapebench.world.content import Content
from grapebench.world.english import PEOPLE, realise

CATEGORIES = (
    "art", "biology", "geography", "history", "literature", "media", "music", "royalty", "sport", "warfare",
)  # fmt: skip

_SUBJECTS = {
    "art": ("altarpiece", "workshop", "gallery"),
    "biology": ("botanical survey", "marine station", "herbarium"),
    "geography": ("river valley", "mountain parish", "coastal district"),
    "history": ("trading company", "town charter", "merchant guild"),
    "literature": ("novel cycle", "collection of tales", "literary almanac"),
    "media": ("radio programme", "weekly magazine", "film studio"),
    "music": ("string quartet", "choral society", "conservatory"),
    "royalty": ("ruling dynasty", "royal household", "line of regents"),
    "sport": ("rowing club", "cycling championship", "athletic league"),
    "warfare": ("border campaign", "naval expedition", "siege"),
}
_PLACES = (
    "Aldermere", "Brennick", "Castova", "Dunhallow", "Estavay", "Farrow", "Grenholm", "Harlesk", "Ivaren", "Jossel",
    "Kelmarsh", "Lorvik", "Montreval", "Norrbeck", "Ostrava", "Pellworth", "Querndon", "Rothwell", "Sandrigo",
    "Tolvane",
)  # fmt: skip
_PEOPLE = (
    "Anna Velder", "Bertram Losse", "Clara Winther", "Dario Fontane", "Elias Marrow", "Greta Holm", "Henrik Aspen",
    "Ines Caldera", "Jonas Pryce", "Katarina Voss", "Leopold Arden", "Mathilde Roux", "Niels Brandt", "Oskar Teller",
)  # fmt: skip
_OPENINGS = (
    "The {subject} of {place} is first mentioned in a document of {year}, when {person} asked the council for support.",
    "Founded in {year} by {person}, the {subject} of {place} soon became known well beyond its own region.",
    "Little is certain about the origins of the {subject} of {place}, although {person} dated them to {year}.",
)
_HISTORY = (
    "In {year} the administration passed to {person}, whose letters remain the main source for the period.",
    "Contemporary accounts disagree about the number of members, which may have reached {number} in a good year.",
    "A fire destroyed most of the archive in {year}, and later historians had to rely on copies kept in {place}.",
    "{person} argued that the early years were shaped by a dispute over taxes between {place} and its neighbours.",
    "After the treaty of {year} the economy recovered slowly, and several families moved to {place}.",
    "The council granted a yearly sum of {number} crowns, provided that the accounts were presented in public.",
    "During the following decade {person} introduced reforms that were resisted by the older members.",
    "Travellers who visited {place} in {year} praised the hospitality of the inhabitants and complained of the roads.",
    "According to the chronicle of {person}, the winter of {year} was the hardest in living memory.",
    "The statutes were revised in {year} and again two generations later, each time after long negotiation.",
    "Scholars have compared the institution with a similar one in {place}, but the evidence is thin.",
    "By {year} the reputation of the enterprise had spread abroad, and visitors arrived from {place} every spring.",
    "Its most famous representative, {person}, was born in {place} and died there at the age of {age}.",
    "An inventory of {year} lists {number} items, of which fewer than a third can be identified today.",
    "The language of the surviving records suggests that the author had been educated in {place}.",
    "Public interest revived in {year}, when {person} published a study in three volumes.",
    "Critics of the time were divided, and the debate continued in the newspapers of {place} for years.",
    "A committee led by {person} collected {number} signatures and delivered them to the ministry.",
    "The decline began after {year}, when trade shifted to {place} and the younger generation left.",
    "Restoration started in {year} with private donations and was completed under the direction of {person}.",
    "Every seventh year a festival recalls these events with speeches, a procession and a common meal.",
    "The correspondence between {person} and the governor of {place} was edited and translated in {year}.",
    "Recent research, based on parish registers, has corrected many of the dates given by {person}.",
    "No trace of the original agreement survives, but its terms were repeated in a letter of {year}.",
    "In the census of {year} the district counted {number} households, most of them engaged in farming.",
    "The period {year}–88 is poorly documented, and {person} left only a few notes about it.",
    "The rules of {year}–93 required every member to reside in {place} for part of the year.",
    "A commemorative volume with essays by {person} and others appeared on the occasion of the anniversary.",
)
_LEADS = (
    "The plate at the end of this section is described as follows: {}.",
    "The accompanying illustration bears the caption: {}.",
    "According to the catalogue, this is what the illustration depicts: {}.",
    "A photograph kept in the archive is labelled: {}.",
)


def article(content: Content, category: str, rng: random.Random, length: int = 255) -> str:
    """An article of `length` words, or up to 25 more, whose last sentence says the content."""

    def fill(template: str) -> str:
        return template.format(
            subject=rng.choice(_SUBJECTS[category]),
            place=rng.choice(_PLACES),
            person=rng.choice(_PEOPLE),
            year=rng.randrange(1480, 1990),
            number=rng.randrange(20, 900),
            age=rng.randrange(48, 95),
        )

    sentences = [fill(rng.choice(_OPENINGS))]
    last = rng.choice(_LEADS).format(realise(content, PEOPLE, rng))
    words = len(sentences[0].split()) + len(last.split())
    history = list(_HISTORY)
    rng.shuffle(history)
    for template in history:
        if words >= length:
            break
        sentences.append(fill(template))
        words += len(sentences[-1].split())
    middle = len(sentences) // 2
    return " ".join(sentences[:middle]) + "\n\n" + " ".join(sentences[middle:]) + "\n\n" + last
