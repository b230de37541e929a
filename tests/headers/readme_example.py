#!/usr/bin/env python3
"""Prints the C++ example of a Markdown file, for the tests to compile."""

import pathlib
import re
import sys

example = re.search(r"^```cpp\n(.*?)^```", pathlib.Path(sys.argv[1]).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
if example is None:
    sys.exit(f"{sys.argv[1]} holds no C++ example")
print(example.group(1), end="")
