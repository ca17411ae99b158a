#!/usr/bin/env bash
# Sets a random database password: writes it to the Secret `fanout-own`, which takes precedence over the Secret of this
# folder, restarts the pods that use it, and returns when the old ones are gone. It can run before the first deploy and
# at any time later. If it is interrupted, run it again: inside its own pod, PostgreSQL accepts the change without a
# password. VIEWER_TOKEN=… also sets the access token of the viewer.
set -euo pipefail
kubectl=${KUBECTL:-kubectl}
password=$(head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n') # hexadecimal, because it is part of a URL

if [ -n "${VIEWER_TOKEN:-}" ]; then
  if [ ${#VIEWER_TOKEN} -lt 16 ]; then
    echo "VIEWER_TOKEN is not allowed: should have at least 16 characters" >&2
    exit 1
  fi
  token=$(printf %s "$VIEWER_TOKEN" | base64 | tr -d '\n')
else # keep the current one, if any
  token=$($kubectl get secret fanout-own --ignore-not-found --output jsonpath='{.data.VIEWER_TOKEN}')
fi
viewer_token=${token:+VIEWER_TOKEN: $token}

# POSTGRES_PASSWORD has no effect on an existing volume, so change the password in the database.
if [ -n "$($kubectl get statefulset postgres --ignore-not-found --output name)" ]; then
  $kubectl rollout status statefulset/postgres --timeout 2m
  # On standard input, so that the password does not appear in a process list.
  $kubectl exec --stdin statefulset/postgres -- psql --quiet --username fanout --dbname fanout <<<"ALTER ROLE fanout PASSWORD '$password'"
fi

# Not `apply`: it would keep a copy of the values in an annotation. `replace` removes the copy of an earlier release.
verb=create
[ -z "$($kubectl get secret fanout-own --ignore-not-found --output name)" ] || verb=replace
$kubectl $verb -f - <<SECRET
apiVersion: v1
kind: Secret
metadata:
  name: fanout-own
  labels:
    app.kubernetes.io/name: fanout
    app.kubernetes.io/part-of: fanout
data: {$viewer_token}
stringData:
  POSTGRES_PASSWORD: $password
  DATABASE_URL: postgresql://fanout:$password@postgres:5432/fanout
SECRET

users=$($kubectl get deployment consumer viewer --ignore-not-found --output name)
[ -n "$users" ] || exit 0
selector='app.kubernetes.io/part-of=fanout,app.kubernetes.io/name in (consumer,viewer)'
old=$($kubectl get pods --selector "$selector" --field-selector status.phase=Running --output name)
$kubectl rollout restart $users
for deployment in $users; do
  $kubectl rollout status "$deployment" --timeout 5m
done
# A rollout is complete while the old pods are still terminating, and until then they answer with the old token.
for pod in $old; do
  $kubectl wait --for delete "$pod" --timeout 2m 2>/dev/null ||
    [ -z "$($kubectl get "$pod" --ignore-not-found --output name)" ] ||
    { echo "$pod still runs with the old values. See kubectl describe $pod" >&2 && exit 1; }
done
