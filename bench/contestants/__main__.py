"""`python -m bench.contestants NAME API TOKEN TREE FOLDER [DATABASE]`: run one until stopped."""

from __future__ import annotations

import importlib
import logging
import sys
import warnings
from pathlib import Path

from bench import tree
from bench.contestants import Told

warnings.simplefilter("ignore")
logging.basicConfig(level=logging.ERROR)
name, api, token, screens, folder, *database = sys.argv[1:]
module, _, variant = name.partition(":")
told = Told(api, token, tree.read(Path(screens)), Path(folder), "".join(database))
contestant = importlib.import_module(f"bench.contestants.{module}")
contestant.run(told, *([variant] if variant else []))
