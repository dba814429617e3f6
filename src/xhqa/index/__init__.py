"""The index on disk: immutable generations behind one pointer that is swapped atomically.

    index/CURRENT                     {"generation": name, "manifest_sha256": …}
    index/generations/<name>/         manifest.json, documents.sqlite, vectors.npy, lexical/,
                                      question_means.npy, lists.faiss where there are many

A build writes a new generation beside the others, syncs it to disk and then replaces CURRENT, so
a reader sees the old index or the new one and nothing between. Documents live inside the
generation, in one SQLite file: what is cited and what is searched can then never differ.
"""

from xhqa.index.build import Progress, build, embedding_text
from xhqa.index.generation import Entry, Index, exists, open_index

__all__ = ["Entry", "Index", "Progress", "build", "embedding_text", "exists", "open_index"]
