"""How the miniature's two models are made, from nothing, by one command: `grapebench world train`."""
