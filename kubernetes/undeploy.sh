#!/usr/bin/env bash
# Removes everything of Fanout from the current namespace: this folder, its opt-in additions, and what others made
# for it (the volume, the Secret of `make secret`).
set -euo pipefail
cd "$(dirname "$0")/.."
kubectl=${KUBECTL:-kubectl}

# Where an addition was never applied, the cluster may not know its kinds.
for addition in kubernetes/*/; do
  $kubectl delete -f "$addition" --ignore-not-found 2>/dev/null || true
done
$kubectl delete -f kubernetes --ignore-not-found
$kubectl delete secret fanout-own --ignore-not-found
$kubectl delete persistentvolumeclaim --selector app.kubernetes.io/part-of=fanout
