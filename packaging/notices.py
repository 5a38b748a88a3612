#!/usr/bin/env python3
"""Prints the licences of the crates in the program: their authors and the files by which they are given.

Usage: packaging/notices.py TARGET
"""
import json
import pathlib
import subprocess
import sys


def is_notice(path: pathlib.Path) -> bool:
    name = path.name.upper()
    return path.is_file() and name.startswith(("LICEN", "COPYING", "COPYRIGHT", "NOTICE", "UNLICENSE"))


def tree(target: str) -> set[tuple[str, str]]:
    """The name and version of each crate that is linked, none that only builds or tests."""
    command = ["cargo", "tree", "--locked", "--target", target, "--edges", "normal", "--prefix", "none", "--format", "{p}"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    return {(words[0], words[1].removeprefix("v")) for words in map(str.split, lines) if words}


def main() -> None:
    linked = tree(sys.argv[1])
    command = ["cargo", "metadata", "--locked", "--format-version", "1"]
    packages = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["packages"]
    print("Counterpart contains these libraries, each under the licence named with it.")
    for package in sorted(packages, key=lambda package: (package["name"], package["version"])):
        if package["name"] == "counterpart" or (package["name"], package["version"]) not in linked:
            continue
        print(f"\n{'=' * 78}\n{package['name']} {package['version']}: {package['license']}")
        print(", ".join(package["authors"]))
        directory = pathlib.Path(package["manifest_path"]).parent
        for notice in sorted(filter(is_notice, directory.iterdir())):
            text = notice.read_text(encoding="utf-8", errors="replace").strip()
            print(f"\n-- {notice.name}\n\n{text}")


main()
