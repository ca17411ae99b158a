#!/usr/bin/env bash
# Removes Fanout from the current namespace: this folder, the opt-in additions, the examples, the volume, and the Secret
# that `make secret` created.
set -euo pipefail
cd "$(dirname "$0")/.."
kubectl=${KUBECTL:-kubectl}

# The cluster may not know the resource types of additions that were never applied.
for addition in kubernetes/*/ examples/*/kubernetes/; do
  $kubectl delete -f "$addition" --ignore-not-found 2>/dev/null || true
done
$kubectl delete -f kubernetes --ignore-not-found
$kubectl delete secret fanout-own --ignore-not-found
$kubectl delete persistentvolumeclaim --selector app.kubernetes.io/part-of=fanout
