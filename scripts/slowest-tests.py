#!/usr/bin/env python3
"""Prints the ten slowest tests of a JUnit report, slowest first."""

import sys
import xml.etree.ElementTree as tree

cases = [(float(case.get("time", 0)), case.get("name")) for case in tree.parse(sys.argv[1]).iter("testcase")]
for seconds, name in sorted(cases, reverse=True)[:10]:
    print(f"{seconds:7.1f} s  {name}")
