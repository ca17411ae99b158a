#!/usr/bin/env sh
# Locks requirements*.txt from the lists in pyproject.toml, with hashes, for every platform and Python >= 3.11.
set -eu
lock() {
  out=$1
  shift
  "${UV:-uv}" pip compile --quiet --generate-hashes --no-emit-index-url --no-emit-find-links --no-header \
    --upgrade --output-file "$out" "$@"
}
lock requirements.txt --universal --python-version 3.11 pyproject.toml
lock requirements-viewer.txt --universal --python-version 3.11 --constraint requirements.txt --group viewer pyproject.toml
lock requirements-run.txt --universal --python-version 3.11 --constraint requirements-viewer.txt --group run pyproject.toml
lock requirements-dev.txt --universal --python-version 3.11 --constraint requirements-run.txt --group dev pyproject.toml
# One Python only: its dependencies have no common solution for several.
lock requirements-localstack.txt --python-version 3.13 --exclude-newer 2026-03-10 --group localstack
