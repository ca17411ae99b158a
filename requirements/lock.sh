#!/usr/bin/env sh
# Locks the requirements listed in pyproject.toml, with hashes, for all platforms and Python 3.11 or newer.
set -eu
cd "$(dirname "$0")/.."
lock() {
  out=requirements/$1
  shift
  "${UV:-uv}" pip compile --quiet --generate-hashes --no-emit-index-url --no-emit-find-links --no-header \
    ${UPGRADE:+--upgrade} --output-file "$out" "$@"
}
any() {
  out=$1
  shift
  lock "$out" --universal --python-version 3.11 "$@" pyproject.toml
}
any services.txt
any viewer.txt --constraint requirements/services.txt --group viewer
any watch.txt --constraint requirements/viewer.txt --group watch
any run.txt --constraint requirements/watch.txt --group run
any dev.txt --constraint requirements/run.txt --group dev
lock sbom.txt --universal --python-version 3.11 --constraint requirements/dev.txt --group sbom
# For one Python version: no set of its dependencies satisfies several.
lock localstack.txt --python-version 3.13 --exclude-newer 2026-03-10 --group localstack
