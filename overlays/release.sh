#!/usr/bin/env bash
# Deploys an overlay with the images of a registry and tag: release.sh OVERLAY REGISTRY TAG
# `make release` runs it. It edits a copy of the manifests, so that the work tree does not change.
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
