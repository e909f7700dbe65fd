"""A leaderboard as a static site: pages that work from a folder, without a server and without a network."""

from grapebench.leaderboard.site.builder import Built, build

__all__ = ["Built", "build"]
