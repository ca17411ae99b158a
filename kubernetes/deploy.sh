#!/usr/bin/env bash
# Loads the images onto the nodes of the current kubectl context, applies this folder and waits until all pods are
# ready. `make deploy` runs it after `make images`.
set -euo pipefail
cd "$(dirname "$0")/.."
kubectl=${KUBECTL:-kubectl}
services=(producer consumer viewer)
images=("${services[@]/%/:latest}")

context=$($kubectl config current-context)
case $context in
  kind-*) kind load docker-image --name "${context#kind-}" "${images[@]}" ;;
  k3d-*) k3d image import --cluster "${context#k3d-}" "${images[@]}" ;;
  docker-desktop | rancher-desktop | orbstack) ;; # the node uses the images of this machine
  *)
    if ! command -v minikube >/dev/null || ! minikube --profile "$context" status >/dev/null 2>&1; then
      echo "The context $context is not minikube, kind, k3d or Docker Desktop: images cannot be loaded onto its" \
        "nodes. Use a registry instead: make push release REGISTRY=registry.example.com/fanout" >&2
      exit 1
    fi
    # After `eval $(minikube docker-env)` the images were built on the node.
    [ -n "${MINIKUBE_ACTIVE_DOCKERD:-}" ] || minikube --profile "$context" image load "${images[@]}"
    ;;
esac

# Running pods do not notice a new image of the same name, or a changed ConfigMap.
running=$($kubectl get deployment "${services[@]}" watch --ignore-not-found --output name)
$kubectl apply -f kubernetes
[ -z "$running" ] || $kubectl rollout restart $running

for workload in deployment/localstack statefulset/postgres "${services[@]/#/deployment/}"; do
  if ! $kubectl rollout status "$workload" --timeout 5m; then
    $kubectl get pods --selector app.kubernetes.io/part-of=fanout
    echo "$workload is not ready. See kubectl describe $workload, kubectl logs $workload, and \"When it does not work\" in docs/kubernetes.md" >&2
    exit 1
  fi
done

cat <<'TEXT'

  Fanout is ready.

  See the messages   make forward, then http://localhost:5000
                     or port 30000 of a node (minikube service viewer)
  Logs               kubectl logs --follow --prefix --selector app.kubernetes.io/part-of=fanout
  AWS                kubectl exec deploy/localstack -- awslocal sns list-topics
  Remove             make undeploy
TEXT
