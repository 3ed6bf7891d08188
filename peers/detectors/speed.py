"""How fast another detector looks through documents: `speed.py PEER DIRECTORY SECONDS`.

The documents are the files of DIRECTORY, in order of their names. They are looked through until SECONDS of CPU time are over, at least
one; what the peer does at its start, and with an empty text, is not counted. Prints `BYTES SECONDS FINDINGS`: bytes of the documents
that were looked through, user time that it took, how much was found. Nothing here talks to a network.
"""

import io
import os
import pathlib
import subprocess
import sys
import tempfile

SCRIPTS = pathlib.Path(sys.executable).parent


def presidio():
    """Its default recognisers for English that are patterns, without a model: an empty spaCy pipeline splits words."""
    import spacy
    from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
    from presidio_analyzer.nlp_engine import SpacyNlpEngine

    class Blank(SpacyNlpEngine):
        def __init__(self):
            super().__init__(models=[{"lang_code": "en", "model_name": "blank"}])
            self.nlp = {"en": spacy.blank("en")}

    registry = RecognizerRegistry()
    registry.load_predefined_recognizers(languages=["en"])
    registry.remove_recognizer("SpacyRecognizer")
    engine = AnalyzerEngine(registry=registry, nlp_engine=Blank(), supported_languages=["en"])
    return lambda text: len(engine.analyze(text=text, language="en", score_threshold=0.4))


def datafog():
    import datafog_core

    return lambda text: len(datafog_core.scan(text))


def cpex_pii():
    from cpex_pii_filter.pii_filter_rust import PIIDetectorRust

    detector = PIIDetectorRust({})
    return lambda text: sum(len(found) for found in detector.detect(text).values())


def cpex_secrets():
    from cpex_secrets_detection.secrets_detection_rust import py_scan_container

    return lambda text: py_scan_container(text, {})[0]


def detect_secrets():
    """Its plug-ins and filters as they are on by default, line by line."""
    from detect_secrets.core.scan import scan_line
    from detect_secrets.settings import default_settings

    def scan(text):
        with default_settings():
            return sum(1 for line in text.splitlines() for _ in scan_line(line))

    return scan


def credsweeper(threshold):
    """The scanner in this process, on contents, with one job."""
    from credsweeper import CredSweeper
    from credsweeper.file_handler.text_content_provider import TextContentProvider

    sweeper = CredSweeper(pool_count=1, ml_threshold=threshold)

    def scan(text):
        provider = TextContentProvider(("text.json", io.BytesIO(text.encode())))
        sweeper.credential_manager.clear_credentials()
        found = sweeper.file_scan(provider)
        sweeper.credential_manager.set_credentials(found)
        sweeper.post_processing(None)
        return len(sweeper.credential_manager.get_credentials())

    return scan


PEERS = {
    "presidio-analyzer": presidio,
    "datafog-core": datafog,
    "cpex-pii-filter": cpex_pii,
    "cpex-secrets-detection": cpex_secrets,
    "detect-secrets": detect_secrets,
    "credsweeper": lambda: credsweeper(None),
    "credsweeper-without-model": lambda: credsweeper(0),
}


def gitleaks(directory):
    """A program of its own: user time of its run over all documents, less that of a run over an empty one."""

    def user_s(where):
        before = os.times().children_user
        command = [SCRIPTS / "gitleaks", "dir", where, "--no-banner", "--log-level", "error", "--exit-code", "0"]
        command += ["--max-decode-depth", "5", "--report-format", "csv", "--report-path", "-"]
        said = subprocess.run(command, check=True, stdout=subprocess.PIPE, env={**os.environ, "GOMAXPROCS": "1"})
        return os.times().children_user - before, max(said.stdout.count(b"\n") - 1, 0)

    with tempfile.TemporaryDirectory() as empty:
        (pathlib.Path(empty) / "empty").write_text("")
        nothing, _ = user_s(empty)
        took, found = user_s(directory)
    size = sum(file.stat().st_size for file in directory.iterdir())
    return size, took - nothing, found


def library(peer, directory, seconds):
    scan = PEERS[peer]()
    scan("")
    size = found = 0
    begun = os.times().user
    # What runs fast is run over the same documents again, for a clock ticks in hundredths.
    while os.times().user - begun < seconds:
        for file in sorted(directory.iterdir()):
            text = file.read_bytes()
            found += scan(text.decode("utf-8", "replace"))
            size += len(text)
            if os.times().user - begun >= seconds:
                break
    return size, os.times().user - begun, found


def main():
    peer, directory, seconds = sys.argv[1], pathlib.Path(sys.argv[2]), float(sys.argv[3])
    measure = (lambda: gitleaks(directory)) if peer == "gitleaks" else (lambda: library(peer, directory, seconds))
    size, took, found = measure()
    print(f"{size} {took:.3f} {found}")


main()
