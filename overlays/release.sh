#!/usr/bin/env bash
# Deploys an overlay with the images of one registry and one tag: release.sh OVERLAY REGISTRY TAG
# `make release` runs it. It writes both into a copy, so that a release leaves no trace in the work tree.
set -euo pipefail
overlay=$1 registry=$2 tag=$3
cd "$(dirname "$0")/.."
kubectl=${KUBECTL:-kubectl}
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT

cp -R kubernetes overlays "$copy"
sed -i.bak -e "s#registry.example.com/fanout#$registry#" -e "s#newTag: .*#newTag: $tag#" \
  "$copy/overlays/release/kustomization.yaml"
$kubectl apply -k "$copy/overlays/$overlay"
for service in producer consumer viewer; do
  $kubectl rollout status "deployment/$service" --timeout 5m
done
