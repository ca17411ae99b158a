#!/usr/bin/env bash
# Puts the images onto the nodes of the current kubectl context, applies this folder, and waits until all is ready.
# `make deploy` runs it, after `make images`.
set -euo pipefail
cd "$(dirname "$0")/.."
kubectl=${KUBECTL:-kubectl}
services=(producer consumer viewer)
images=("${services[@]/%/:latest}")

context=$($kubectl config current-context)
case $context in
  kind-*) kind load docker-image --name "${context#kind-}" "${images[@]}" ;;
  k3d-*) k3d image import --cluster "${context#k3d-}" "${images[@]}" ;;
  docker-desktop | rancher-desktop | orbstack) ;; # its nodes use this machine's images
  *)
    if ! command -v minikube >/dev/null || ! minikube --profile "$context" status >/dev/null 2>&1; then
      echo "The context $context is none of minikube, kind, k3d and Docker Desktop: its nodes cannot be given" \
        "images from here. Push them, and deploy those: make push release REGISTRY=registry.example.com/fanout" >&2
      exit 1
    fi
    # After `eval $(minikube docker-env)` they were built where they are needed.
    [ -n "${MINIKUBE_ACTIVE_DOCKERD:-}" ] || minikube --profile "$context" image load "${images[@]}"
    ;;
esac

# Pods that run do not notice another image under the same name, nor another ConfigMap.
running=$($kubectl get deployment "${services[@]}" --ignore-not-found --output name)
$kubectl apply -f kubernetes
[ -z "$running" ] || $kubectl rollout restart $running

for workload in deployment/localstack statefulset/postgres "${services[@]/#/deployment/}"; do
  if ! $kubectl rollout status "$workload" --timeout 5m; then
    $kubectl get pods --selector app.kubernetes.io/part-of=fanout
    echo "$workload is not ready. Why: kubectl describe $workload; kubectl logs $workload; docs/kubernetes.md, When it does not work" >&2
    exit 1
  fi
done

cat <<'TEXT'

  Fanout is ready.

  See the messages   make forward, then http://localhost:5000
                     or port 30000 of a node (minikube service viewer)
  What it says       kubectl logs --follow --prefix --selector app.kubernetes.io/part-of=fanout
  AWS                kubectl exec deploy/localstack -- awslocal sns list-topics
  Remove it          make undeploy
TEXT
