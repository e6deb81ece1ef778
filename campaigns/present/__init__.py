"""Reports as values, drawn: `charts` (Altair), `pages` (HTML), `words` (sentences)."""
