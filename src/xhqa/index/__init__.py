"""What is searched, on disk or in a Milvus: documents, their passages, vectors and words.

On disk an index is a folder of immutable generations behind one pointer that is swapped atomically:

    index/CURRENT                     {"generation": name, "manifest_sha256": …}
    index/generations/<name>/         manifest.json, documents.sqlite, vectors.npy, lexical/,
                                      question_means.npy, lists.faiss where there are many

A build writes a new generation beside the others, syncs it to disk and then replaces CURRENT, so
a reader sees the old index or the new one and nothing between. Documents live inside the
generation, in one SQLite file: what is cited and what is searched can then never differ.
"""

from xhqa.index.build import build
from xhqa.index.change import Change, Changing, Entry, Held, Progress
from xhqa.index.corpus import Corpus, corpus_of
from xhqa.index.generation import Generation, open_index
from xhqa.index.passages import chunks_of, embedding_text, encoded, sentences_in
from xhqa.index.protocol import Candidates, Index

__all__ = [
    "Candidates",
    "Change",
    "Changing",
    "Corpus",
    "Entry",
    "Generation",
    "Held",
    "Index",
    "Progress",
    "build",
    "chunks_of",
    "corpus_of",
    "embedding_text",
    "encoded",
    "open_index",
    "sentences_in",
]
