#!/usr/bin/env python3
"""Prints every header below a folder as one includes it, one a line."""

import pathlib
import sys

top = pathlib.Path(sys.argv[1])
for header in sorted(top.rglob("*.hpp")):
    print(header.relative_to(top))
