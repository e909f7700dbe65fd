"""Which file is meant: wanted paths against the paths that are there.

The file's name without its extension has to be the same; where several files have it, the one with the longest common
tail of folders is meant, then the one with the same extension, then the one whose whole path is the same. Letter case
counts where it makes a difference, and so does Unicode's form (an `é` of one letter or of two). Where entries are ids,
one that is the image's id goes before everything.

Folders above that tail may have other names than the annotation files say, for users name folders as they like. But
where the wanted folder itself is there, a file of its neighbour is another image: `val/A/1.jpg` is not `test/A/1.jpg`
once there is a `test`, and `a/1.jpg` is not `b/1.jpg` once there are images in `b`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from grapebench.names import composed

EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")

Score = tuple[int, ...]


@dataclass(frozen=True)
class Match:
    """What was found for each image id."""

    found: dict[str, str]
    """Image id to entry."""
    doubts: dict[str, str]
    """Image ids that cannot be told, and why."""


def image_path(name: str) -> str | None:
    """A path inside a folder or archive in its plain form, `a/b.jpg`.

    None where it is nothing to look for: other files than images, hidden ones and macOS's companions, and the
    absolute or climbing paths that an archive may hold.
    """
    name = name.replace("\\", "/")
    if not is_image(name) or name.startswith("/") or name[1:3] == ":/":
        return None
    parts = _parts(name)
    if any(part.startswith(".") or part == "__MACOSX" for part in parts):
        return None
    return "/".join(parts)


def is_image(name: str) -> bool:
    """Whether the name ends as images do and has something before that."""
    return len(stem(name)) < len(name.rpartition("/")[2])


def stem(path: str) -> str:
    """The last element of a path, without the extension of an image: ids may hold other dots."""
    name = path.rpartition("/")[2]
    head, dot, tail = name.rpartition(".")
    return head if head and dot + tail.lower() in EXTENSIONS else name


def match(wanted: Mapping[str, str], entries: Iterable[str], *, by_id: bool = False) -> Match:
    """For each image id the entry that is meant by its wanted path.

    `by_id` says that entries are ids, which may stand for an image's own id as well. An entry is never given to two
    ids whose wanted paths differ: the better claim holds, and of equal claims none.
    """
    paths = {image: "/".join(_parts(path.replace("\\", "/"))) for image, path in wanted.items()}
    asked = {_key(path) for path in paths.values()}
    if by_id:
        asked |= {_key(image) for image in wanted}
    there: dict[str, list[str]] = {}
    folders: set[str] = set()
    for entry in entries:
        folders.add(entry.rpartition("/")[0])
        key = _key(entry)
        if key in asked:
            there.setdefault(key, []).append(entry)
    inner, outer = _tails(folders)
    claims: dict[str, tuple[Score, str]] = {}
    doubts: dict[str, str] = {}
    for image, path in paths.items():
        candidates = [entry for entry in there.get(_key(path), ()) if not _elsewhere(path, entry, inner, outer)]
        if by_id:
            own = [entry for entry in there.get(_key(image), ()) if composed(entry) == composed(image)]
            candidates = list(dict.fromkeys([*candidates, *own]))
        if not candidates:
            continue
        scores = {
            entry: (by_id and entry == image, by_id and composed(entry) == composed(image), *_score(path, entry))
            for entry in candidates
        }
        best = max(scores.values())
        first, *others = (entry for entry, score in scores.items() if score == best)
        if others:
            doubts[image] = f"both {first!r} and {others[0]!r} may be image {image!r}"
        else:
            claims[image] = (best, first)
    return _settle(paths, claims, doubts)


def _settle(paths: dict[str, str], claims: dict[str, tuple[Score, str]], doubts: dict[str, str]) -> Match:
    """Each entry for the image with the best claim."""
    by_entry: dict[str, list[str]] = {}
    for image, (_, entry) in claims.items():
        by_entry.setdefault(entry, []).append(image)
    found: dict[str, str] = {}
    for entry, images in by_entry.items():
        best = max(claims[image][0] for image in images)
        winners = [image for image in images if claims[image][0] == best]
        # Ids of one and the same wanted path are names of one image.
        others = [image for image in winners if paths[image] != paths[winners[0]]]
        if others:
            doubt = f"{entry!r} may be image {winners[0]!r} as well as image {others[0]!r}"
            doubts |= dict.fromkeys(winners, doubt)
        else:
            found |= dict.fromkeys(winners, entry)
    return Match(found, doubts)


def _tails(folders: Iterable[str]) -> tuple[frozenset[str], frozenset[str]]:
    """Every way in which the folders may end, and the same of them and those above them.

    Of `a/b` these are `a/b` and `b`; and `a`, `a/b` and `b`.
    """
    inner: set[str] = set()
    outer: set[str] = set()
    for folder in folders:
        parts = _folded(folder).split("/")
        for end in range(1, len(parts) + 1):
            outer |= {"/".join(parts[start:end]) for start in range(end)}
        inner |= {"/".join(parts[start:]) for start in range(len(parts))}
    return frozenset(inner), frozenset(outer)


def _elsewhere(wanted: str, entry: str, inner: frozenset[str], outer: frozenset[str]) -> bool:
    """Whether an entry lies in another folder than the wanted one, which is there as well."""
    folders, others = (_folded(path).split("/")[:-1] for path in (wanted, entry))
    common = _tail(folders, others)
    if common in (len(folders), len(others)):
        return False
    return "/".join(folders[: len(folders) - common]) in (outer if common else inner)


def _key(path: str) -> str:
    """What a path is found by."""
    return _folded(stem(path))


def _folded(name: str) -> str:
    return name.casefold() if name.isascii() else composed(composed(name).casefold())


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")]


def _score(wanted: str, entry: str) -> Score:
    """How well an entry fits, of those with the same stem up to letter case; more is better, in this order."""
    *folders, name = wanted.split("/")
    *others, found = entry.split("/")
    extension, ending = name[len(stem(name)) :], found[len(stem(found)) :]
    return (
        composed(stem(name)) == composed(stem(found)),
        _tail([_folded(folder) for folder in folders], [_folded(folder) for folder in others]),
        _tail([composed(folder) for folder in folders], [composed(folder) for folder in others]),
        stem(name) == stem(found),
        _tail(folders, others),
        extension == ending,
        extension.lower() == ending.lower(),
        wanted == entry,
    )


def _tail(left: list[str], right: list[str]) -> int:
    """How many elements the two lists have in common at their ends."""
    length = 0
    for one, other in zip(reversed(left), reversed(right), strict=False):
        if one != other:
            break
        length += 1
    return length
