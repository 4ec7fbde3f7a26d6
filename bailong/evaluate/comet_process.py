"""Scores of translations by COMET (Rei et al., arXiv 2009.09025), run by another Python than the rest.

unbabel-comet asks for older versions of what Bailong rests on. So this file is given to the Python of an environment of
its own, imports nothing of Bailong, and speaks JSON Lines: {"src", "mt", "ref"} on its standard input, the arguments
MODEL BATCH GPUS, and for each line {"score"} on its standard output, in their order.
"""

import importlib
import json
import os
import sys

#: sentences whose scores are written together
CHUNK = 256


def main(model: str, batch: int, gpus: int) -> None:
    rows = [json.loads(line) for line in sys.stdin.buffer]
    # what comet and lightning print is no score
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    # the folder of this file, where other files are called as packages are
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [place for place in sys.path if os.path.abspath(place) != here]
    comet = importlib.import_module("comet")  # which is none of our dependencies

    path = model if os.path.exists(model) else comet.download_model(model)
    scorer = comet.load_from_checkpoint(path)
    for start in range(0, len(rows), CHUNK):
        found = scorer.predict(rows[start : start + CHUNK], batch_size=batch, gpus=gpus)
        for score in found["scores"]:
            answers.write(json.dumps({"score": float(score)}) + "\n")
        answers.flush()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
