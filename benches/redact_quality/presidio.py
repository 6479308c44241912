"""Reads texts, a JSON string a line, and writes what Presidio's pattern recognisers find in each. No language model is
loaded: a blank tokenizer gives the words around a value, so context counts and names do not."""
import json
import sys
import time

import spacy
from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
from presidio_analyzer.nlp_engine import SpacyNlpEngine


class Blank(SpacyNlpEngine):
    def __init__(self):
        super().__init__(models=[{"lang_code": "en", "model_name": "blank"}])
        self.nlp = {"en": spacy.blank("en")}


registry = RecognizerRegistry()
registry.load_predefined_recognizers(languages=["en"])
registry.recognizers = [r for r in registry.recognizers if "Spacy" not in type(r).__name__]
engine = AnalyzerEngine(registry=registry, nlp_engine=Blank(), supported_languages=["en"])
for line in sys.stdin:
    text = json.loads(line)
    begun = time.process_time()
    found = engine.analyze(text, language="en", score_threshold=0.4)
    spans = [{"start": one.start, "end": one.end} for one in found]
    print(json.dumps({"spans": spans, "seconds": time.process_time() - begun}), flush=True)
