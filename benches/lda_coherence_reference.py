#!/usr/bin/env python3
"""Coherence of three topics by tomotopy (pip install tomotopy): the values in src/program/lda/coherence.rs.

NPMI with whole documents as windows is petuum's where every pair is together somewhere; elsewhere
tomotopy adds a small number instead of taking the limit -1. Its UMass has no `+ 1`.
"""

import tomotopy
from tomotopy.coherence import Coherence, ConfirmMeasure, ProbEstimation, Segmentation

DOCUMENTS = """oven garlic butter
oven garlic flour
garlic butter oven flour
star planet orbit
star orbit
planet star galaxy
oven star
butter flour
galaxy orbit star planet
garlic
orbit planet
flour oven butter garlic star"""
TOPICS = ["oven garlic butter flour", "star orbit planet galaxy", "oven planet galaxy"]

corpus = tomotopy.utils.Corpus()
for document in DOCUMENTS.splitlines():
    corpus.add_doc(document.split())
words = set(" ".join(TOPICS).split())
measure = (ProbEstimation.DOCUMENT, Segmentation.ONE_ONE, ConfirmMeasure.NPMI)
npmi = Coherence(corpus, coherence=measure, targets=words)
umass = Coherence(corpus, coherence="u_mass", targets=words)
print("topic,npmi,umass_without_smoothing")
for topic in TOPICS:
    print(f"{topic},{npmi.get_score(words=topic.split()):.12f},{umass.get_score(words=topic.split()):.12f}")
